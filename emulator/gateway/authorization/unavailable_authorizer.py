"""Authorizers that cannot be asked on this machine: their routes are closed rather than open."""

from __future__ import annotations

from emulator.gateway.authorization.verdicts import Verdict, forbidden
from emulator.gateway.call import Call
from emulator.gateway.rest import rest_errors


class UnavailableAuthorizer:
    """Lets nobody pass."""

    def __init__(self, reason: str) -> None:
        self._note = f"the authorizer cannot be asked here: {reason}"

    async def ask(self, call: Call) -> Verdict:
        """403, with the reason in the console."""
        if call.route.kind == "http":
            return rest_errors.denied(self._note, explicitly=False)
        return forbidden(self._note)
