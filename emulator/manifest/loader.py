"""From the text of serverless.yml to a Manifest: every error with file and line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.manifest import environment, known_keys, yaml_reader
from emulator.manifest.document import ManifestError, Where
from emulator.manifest.model import Function, Manifest
from emulator.manifest.resolver import Resolver
from emulator.manifest.section import Section
from emulator.manifest.triggers import Triggers
from emulator.manifest.variables import Variables

DEFAULT_TIMEOUT = 6
DEFAULT_MEMORY = 1024
MAX_TIMEOUT = 900
MAX_MEMORY = 10240


@dataclass(frozen=True, slots=True)
class Source:
    """Where the manifest comes from, so that it can be read again when its file has changed."""

    path: Path
    stage: str | None = None
    params: Sequence[str] = ()

    def load(self) -> Manifest:
        """Read it; a ManifestError says what is wrong."""
        given = {}
        for param in self.params:
            name, equals, value = param.partition("=")
            if not equals:
                raise ManifestError(f"--param {param!r} must be NAME=VALUE", self.path)
            given[name] = value
        return load(self.path, {} if self.stage is None else {"stage": self.stage}, given)


def load(path: Path, options: Mapping[str, str], params: Mapping[str, str] | None = None) -> Manifest:
    """Read a manifest and everything it includes; the first thing wrong with it raises a ManifestError."""
    path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() raises where links lead in a circle
    source = yaml_reader.read(path)
    if not isinstance(source.data, dict):
        raise Where(source).error("is empty" if source.data is None else "must be an object of settings")
    variables = Variables(os.environ, options, params or {}, plugins=bool(source.data.get("plugins")))
    return _Loader(Resolver(source, variables)).manifest()


class _Loader:
    def __init__(self, resolver: Resolver) -> None:
        self.source = resolver.manifest
        self.resolver = resolver
        self._join_functions()
        self.top = Section(resolver, ())
        self.top.check(known_keys.SERVICE)
        self.provider = Section(resolver, ("provider",))
        self.provider.check(known_keys.PROVIDER)
        self.service = self._service()
        self.stage = str(resolver.text("${sls:stage}", Where(self.source, ("provider", "stage"))))
        self.region = self.provider.string(
            "region", str(resolver.text("${aws:region}", Where(self.source, ("provider",))))
        )
        self.environment = self._environment(self.provider)

    def manifest(self) -> Manifest:
        section = Section(self.resolver, ("functions",))
        functions = {name: self._function(name) for name in section.data}
        triggers = Triggers(self.resolver, functions, self.provider)
        triggers.read()
        return Manifest(
            path=self.source.path,
            service=self.service,
            stage=self.stage,
            region=self.region,
            functions=functions,
            routes=tuple(triggers.routes),
            cors=triggers.cors,
            payload=triggers.payload,
            authorizers=triggers.authorizers,
            schedules=tuple(triggers.schedules),
            files=(self.source.path, *self.resolver.files),
            warnings=tuple(self.resolver.warnings),
        )

    def _join_functions(self) -> None:
        """`functions` may be a list of objects, usually one for each included file: from here on it is one."""
        parts = self.source.data.get("functions")
        if not isinstance(parts, list):
            return
        joined: dict[str, Any] = {}
        for index, raw in enumerate(parts):
            where = Where(self.source, ("functions", index))
            part = self.resolver.value(raw, where)
            if not isinstance(part, dict):
                raise where.error("functions: must be objects, each of functions by their names")
            joined |= part
            for name in part:
                self.source.sources[("functions", name)] = where.at(name)
        self.source.data["functions"] = joined

    def _service(self) -> str:
        value = self.resolver.value(self.top.data.get("service"), Where(self.source, ("service",)))
        name = value.get("name") if isinstance(value, dict) else value
        if not isinstance(name, str) or not name:
            raise self.top.error("a manifest needs the name of its service", "service")
        return name

    def _function(self, name: str) -> Function:
        section = Section(self.resolver, ("functions", name))
        section.check(known_keys.FUNCTION)
        handler = section.string("handler")
        if "." not in handler.strip("."):
            raise section.error(
                f"must name a module and a function in it, as in app.handler, not {handler!r}", "handler"
            )
        provider = self.provider
        return Function(
            name=name,
            full_name=section.string("name", f"{self.service}-{self.stage}-{name}"),
            handler=handler,
            timeout=section.integer(
                "timeout", provider.integer("timeout", DEFAULT_TIMEOUT, 1, MAX_TIMEOUT), 1, MAX_TIMEOUT
            ),
            memory_size=section.integer(
                "memorySize", provider.integer("memorySize", DEFAULT_MEMORY, 128, MAX_MEMORY), 128, MAX_MEMORY
            ),
            environment=self._function_environment(section),
            region=self.region,
            runtime=section.string("runtime", provider.string("runtime", "python3.13")),
            line=section.where.line,
        )

    def _function_environment(self, section: Section) -> dict[str, str]:
        values = {**self.environment, **self._environment(section)}
        if (size := environment.total_size(values)) > environment.TOTAL_LIMIT:
            message = f"the environment has {size} bytes; AWS allows {environment.TOTAL_LIMIT}"
            self.resolver.warn(message, section.where.at("environment"))
        return values

    def _environment(self, section: Section) -> dict[str, str]:
        raw = section.data.get("environment") or {}
        if not isinstance(raw, dict):
            raise section.error("must be an object of names and values", "environment")
        values: dict[str, str] = {}
        for name, value in raw.items():
            if isinstance(value, dict):
                values[name] = self._placeholder(section, name, value)
            elif isinstance(value, list):
                raise section.error("an environment variable cannot be a list", "environment", name)
            elif value is not None:
                values[name] = str(value).lower() if isinstance(value, bool) else str(value)
            self._check_variable(section, name, values.get(name, ""))
        return values

    def _check_variable(self, section: Section, name: str, value: str) -> None:
        if problem := environment.fault(name, value):
            raise section.error(problem, "environment", name)
        if environment.refused_name(name):
            self.resolver.warn(
                f"AWS refuses {name!r} as a variable's name: "
                f"it must begin with a letter, and have two or more letters, digits and underscores",
                section.where.at("environment", name),
            )

    def _placeholder(self, section: Section, name: str, value: dict[str, Any]) -> str:
        """What stands for a value that only CloudFormation knows."""
        kind, target = next(iter(value.items()), ("", ""))
        if len(value) != 1 or not (kind == "Ref" or kind.startswith("Fn::")):
            raise section.error("an environment variable cannot be an object", "environment", name)
        text = ".".join(map(str, target)) if isinstance(target, list) else str(target)
        self.resolver.warn(
            f"{name} is {kind} {text}, which only CloudFormation can resolve: "
            f"the functions see a placeholder (or what --env-file and --pass-env give them)",
            section.where.at("environment", name),
        )
        return f"<{kind}:{text}>"
