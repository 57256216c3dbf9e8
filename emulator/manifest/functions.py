"""Reads the functions of a manifest that run here, which are those in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emulator.manifest import environment, known_keys, log_settings
from emulator.manifest.events import destinations
from emulator.manifest.layers import Layers
from emulator.manifest.model import Function
from emulator.manifest.section import Section, shown
from emulator.manifest.variables.resolver import Resolver
from emulator.manifest.yaml import scalars
from emulator.manifest.yaml.document import Where

DEFAULT_TIMEOUT = 6
DEFAULT_MEMORY = 1024
MAX_TIMEOUT = 900
UNLIMITED = 86_400
"""Seconds of every function's time limit when there should be none."""
MAX_MEMORY = 10240
DEFAULT_RUNTIME = "python3.13"
WSGI_HANDLER = "wsgi_handler.handler"
"""The handler that the plugin serverless-wsgi adds to a deployment."""
_MISSED = {
    "onError": "the events of failed invocations are not sent there",
    "fileSystemConfig": "no file system is mounted",
}
"""Settings of a function with an effect that it could see."""
WSGI_FOLDER = Path(__file__).parents[1] / "runtime" / "wsgi"


class Functions:
    """Reads every function; those that cannot run here are left out, with a warning."""

    def __init__(self, resolver: Resolver, provider: Section, service: str, *, unlimited: bool = False) -> None:
        self.unlimited = unlimited
        self.resolver = resolver
        self.provider = provider
        self.service = service
        self.stage = scalars.spelled(resolver.text("${sls:stage}", Where(resolver.manifest, ("provider", "stage"))))
        region = scalars.spelled(resolver.text("${aws:region}", Where(resolver.manifest, ("provider", "region"))))
        self.region = provider.string("region", region)
        self.environment = environment.read(provider, self.region)
        self.layers = Layers(resolver)
        self.individually = Section.at(resolver, "package").data.get("individually") is True
        self.known: dict[str, Function] = {}
        self.left_out: dict[str, str] = {}
        """Why a function does not run here, by its name."""
        written = Section.at(resolver, "functions").data
        self.names = [name for name, settings in written.items() if settings is not None]
        for name in self.names:
            self._read(name)
        destinations.check(resolver, self.known)

    def _read(self, name: str) -> None:
        section = Section.at(self.resolver, "functions", name)
        section.check(known_keys.FUNCTION)
        reason = self._obstacle(section)
        if reason:
            self.left_out[name] = reason
            section.warn(f"the function {name} is left out: {reason}")
        else:
            self.known[name] = self._function(name, section)
            self._missed(section)

    def _missed(self, section: Section) -> None:
        for key, missed in _MISSED.items():
            if section.data.get(key):
                section.warn(f"{key} is not emulated: {missed}", key)

    def _function(self, name: str, section: Section) -> Function:
        provider = self.provider
        timeout = provider.integer("timeout", DEFAULT_TIMEOUT, 1, MAX_TIMEOUT)
        memory = provider.integer("memorySize", DEFAULT_MEMORY, 128, MAX_MEMORY)
        variables = {**self.environment, **environment.read(section, self.region)}
        environment.check_size(section, variables)
        handler = self._handler(section)
        wsgi = Section.at(self.resolver, "custom", "wsgi")
        uses_wsgi = handler == WSGI_HANDLER and bool(wsgi.data)
        if uses_wsgi:
            variables["EMULATOR_WSGI_APP"] = wsgi.known_string("app")
        return Function(
            name=name,
            full_name=section.string("name", f"{self.service}-{self.stage}-{name}"),
            handler=handler,
            timeout=UNLIMITED if self.unlimited else section.integer("timeout", timeout, 1, MAX_TIMEOUT),
            memory_size=section.integer("memorySize", memory, 128, MAX_MEMORY),
            environment=variables,
            region=self.region,
            runtime=self._runtime(section) or DEFAULT_RUNTIME,
            line=section.where.line,
            import_paths=(str(WSGI_FOLDER),) if uses_wsgi else (),
            layers=self.layers.of(section, provider),
            module=self._module(section),
            retries=destinations.retries(section),
            on_success=destinations.read(section, "onSuccess", self.names),
            on_failure=destinations.read(section, "onFailure", self.names),
            logs=log_settings.read(section, provider),
        )

    def _obstacle(self, section: Section) -> str | None:
        """Why a function cannot run here, None when it can."""
        image = section.data.get("image")
        if image is not None:
            return None if _command(image) else "it is an image without a Python handler as its command"
        runtime = self._runtime(section)
        if runtime is not None and not runtime.startswith("python"):
            return f"its runtime is {runtime}, and the emulator runs Python only"
        return None

    def _runtime(self, section: Section) -> str | None:
        if section.data.get("image") is not None:
            return None
        return section.string("runtime", self.provider.string("runtime", DEFAULT_RUNTIME))

    def _handler(self, section: Section) -> str:
        if (image := section.data.get("image")) is not None:
            return str(_command(image))
        handler = section.known_string("handler")
        if "." not in handler.strip("."):
            raise section.error(
                f"must name a module and a function in it, as in app.handler, not {handler[:100]!r}", "handler"
            )
        return handler

    def _module(self, section: Section) -> str:
        """The plugin serverless-python-requirements moves this folder to the root of a function's own package."""
        module = section.string("module", ".")
        if module == ".":
            return module
        if not self.individually:
            section.warn("module has an effect only with package.individually: true", "module")
            return "."
        if not (self.resolver.manifest.path.parent / module).is_dir():
            raise section.error(f"there is no folder {shown(module)}", "module")
        return module


def _command(image: Any) -> str | None:
    """The handler that an image's command names."""
    command = image.get("command") if isinstance(image, dict) else None
    first = command[0] if isinstance(command, list) and command else None
    usable = isinstance(first, str) and "." in first.strip(".") and not image.get("entryPoint")
    return first if usable else None
