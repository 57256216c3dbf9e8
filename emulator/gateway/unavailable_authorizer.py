"""Authorizers that cannot be asked on this machine: their routes are closed rather than open."""

from __future__ import annotations

from emulator.gateway.verdicts import Event, Verdict, forbidden
from emulator.manifest.model import Route


class UnavailableAuthorizer:
    """Lets nobody pass."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def ask(self, _: Route, __: Event) -> Verdict:
        """403, with the reason in the console."""
        return forbidden(f"the authorizer cannot be asked here: {self._reason}")
