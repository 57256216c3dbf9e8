"""The project that is served: its manifest, which is read again when it changes, and what runs by it."""

from __future__ import annotations

from emulator.containers.watch import Watch
from emulator.manifest.loader import Source
from emulator.manifest.model import Manifest
from emulator.service import console
from emulator.service.asynchronous import Asynchronous
from emulator.service.console import Console
from emulator.service.functions import Functions
from emulator.service.health_checks import HealthChecks
from emulator.service.request_book import RequestBook
from emulator.service.schedules import Schedules
from emulator.service.travel import Travel


class Project:
    """Owns the current manifest, and keeps functions and schedules in step with it."""

    def __init__(
        self,
        source: Source,
        manifest: Manifest,
        functions: Functions,
        screen: Console,
        requests: RequestBook | None = None,
    ) -> None:
        self.functions = functions
        self.clock = functions.clock
        self.faults = functions.faults
        self.console = screen
        self.requests = RequestBook() if requests is None else requests
        self.asynchronous = Asynchronous(functions, screen, lambda name: self.manifest.function(name))
        self.schedules = Schedules(functions, screen, self.asynchronous)
        self.travel = Travel(functions.clock, self.schedules)
        self.health_checks = HealthChecks(functions, screen)
        self.manifest = manifest
        self._source = source
        self._watch = Watch(manifest.files)

    async def start(self) -> None:
        """Start the containers and the schedules; called once, with the event loop running."""
        await self.functions.containers.start()
        self.schedules.start(self.manifest)
        self.health_checks.start(self.manifest)

    def refresh(self) -> Manifest:
        """The manifest, read again if one of its files has changed.

        One that cannot be read raises a ManifestError, at every call until it can be read.
        """
        if self._watch.changed():
            manifest = self._source.load()
            self._watch = Watch(manifest.files)
            for warning in manifest.warnings:
                if warning not in self.manifest.warnings:
                    self.console.line(f"warning: {warning}")
            for line in self.faults.take(manifest):
                self.console.line(line)
            self.manifest = manifest
            self.functions.containers.replace(manifest)
            self.schedules.start(manifest)
            self.health_checks.start(manifest)
            count = console.counted(len(manifest.functions), "function")
            self.console.line(f"{manifest.path.name} has changed: {count}")
        return self.manifest
