"""One request to one route, as an authorizer sees it."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.gateway import payload_v1_event, payload_v2_event
from emulator.gateway.authorization.verdicts import Event
from emulator.gateway.request import Request
from emulator.manifest.model import Route


@dataclass(frozen=True, slots=True)
class Call:
    """A request that has a route.

    Authorizers have a payload format of their own, whatever the function's is: each takes the event that it needs.
    """

    request: Request
    route: Route
    parameters: dict[str, str]
    event: Event
    """The function's event."""

    def v1(self) -> Event:
        """The event in format 1.0."""
        if self.route.payload == "1.0":
            return self.event
        return payload_v1_event.http_api(self.request, self.route, self.parameters)

    def v2(self) -> Event:
        """The event in format 2.0."""
        if self.route.payload == "2.0":
            return self.event
        return payload_v2_event.http_api(self.request, self.route, self.parameters)
