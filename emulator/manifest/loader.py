"""Reads a serverless.yml into a Manifest. Every error has its file and line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emulator.manifest import function_lists, known_keys, plugins
from emulator.manifest.events import rest_settings, websocket_events
from emulator.manifest.events.triggers import Triggers
from emulator.manifest.functions import Functions
from emulator.manifest.model import Manifest
from emulator.manifest.section import Section, lookup
from emulator.manifest.variables import dotenv_files
from emulator.manifest.variables.resolver import Resolver
from emulator.manifest.variables.variables import Variables
from emulator.manifest.yaml import yaml_reader
from emulator.manifest.yaml.document import ManifestError, Where
from emulator.manifest.yaml.files import Stamp


@dataclass(frozen=True, slots=True)
class Source:
    """Where the manifest comes from, so that it can be read again when its file has changed."""

    path: Path
    stage: str | None = None
    params: Sequence[str] = ()
    unlimited: bool = False
    """Whether functions may run as long as they want."""

    def load(self) -> Manifest:
        """Read it; a ManifestError says what is wrong."""
        given = {}
        for param in self.params:
            name, equals, value = param.partition("=")
            if not equals:
                raise ManifestError(f"--param {param!r} must be NAME=VALUE", self.path)
            given[name] = value
        options = {} if self.stage is None else {"stage": self.stage}
        return load(self.path, options, given, unlimited=self.unlimited)


def load(
    path: Path, options: Mapping[str, str], params: Mapping[str, str] | None = None, *, unlimited: bool = False
) -> Manifest:
    """Read a manifest and everything it includes; the first thing wrong with it raises a ManifestError."""
    path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() raises where links lead in a circle
    document = yaml_reader.read(path)
    if not isinstance(document.data, dict):
        raise Where(document).error("is empty" if document.data is None else "must be an object of settings")
    has_plugins = bool(document.data.get("plugins"))

    def resolver(environ: Mapping[str, str]) -> Resolver:
        return Resolver(document, Variables(environ, options, params or {}, plugins=has_plugins))

    variables, stamps = dotenv_files.read(resolver(os.environ))
    return _manifest(resolver({**variables, **os.environ}), stamps, unlimited=unlimited)


def _manifest(resolver: Resolver, stamps: Mapping[Path, Stamp], *, unlimited: bool) -> Manifest:
    function_lists.join(resolver)
    top = Section.at(resolver)
    top.check(known_keys.SERVICE)
    plugins.check(top)
    provider = _provider(resolver)
    service = _service(resolver)
    functions = Functions(resolver, provider, service, unlimited=unlimited)
    triggers = Triggers(resolver, functions, provider)
    triggers.read()
    return Manifest(
        path=resolver.manifest.path,
        service=service,
        stage=functions.stage,
        region=functions.region,
        functions=functions.known,
        routes=tuple(triggers.routes.routes),
        cors=triggers.cors,
        rest=rest_settings.read(provider, f"{service}-{functions.stage}"),
        authorizers=triggers.routes.authorizers,
        schedules=tuple(triggers.schedules),
        urls=tuple(triggers.urls),
        alb_rules=tuple(sorted(triggers.alb_rules, key=lambda rule: rule.priority)),
        websocket=websocket_events.api(provider, triggers.websocket_routes, f"{functions.stage}-{service}-websockets"),
        files={**resolver.stamps(), **stamps},
        warnings=tuple(resolver.warnings),
        unlimited=unlimited,
    )


def _provider(resolver: Resolver) -> Section:
    where = Where(resolver.manifest, ("provider",))
    found = lookup(resolver, where.place)
    provider = Section(resolver, where, {"name": found} if isinstance(found, str) else found)
    provider.check(known_keys.PROVIDER)
    return provider


def _service(resolver: Resolver) -> str:
    where = Where(resolver.manifest, ("service",))
    value = lookup(resolver, where.place)
    name = value.get("name") if isinstance(value, dict) else value
    if not isinstance(name, str) or not name:
        raise where.error("service: a manifest needs the name of its service")
    return name
