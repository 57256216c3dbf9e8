"""What the live classroom needs from the platform: to send to a connection, to close it, and to start a function.

`shared.live.aws` does this with API Gateway's `@connections` API and Lambda's Invoke API. Tests, and other hosts, may
bring their own. Any number of threads call these methods at once, also for the same connection.
"""

from typing import Any, Protocol

CALL_TIMEOUT = 5.0
"""Seconds after which a call must have ended, with an `OutcomeUnknownError` if nothing else. Leases are longer."""


class PlatformError(Exception):
    """The platform refused a call, and the same call would be refused again: 403, 413. The text is for the log."""


class GoneError(PlatformError):
    """The connection does not exist: it was closed, or its handshake has not ended yet (410)."""


class UnavailableError(PlatformError):
    """Another attempt may succeed: throttled (429), a failure of the platform (5xx), nobody listens."""


class OutcomeUnknownError(UnavailableError):
    """No answer came, or not in time: the call may have had its effect, so a frame may have been sent."""


class Connections(Protocol):
    """The connections of a WebSocket API."""

    def post(self, connection_id: str, data: bytes) -> None:
        """Send one text frame, UTF-8. Raises `GoneError`, `UnavailableError`, `PlatformError`."""

    def close(self, connection_id: str) -> None:
        """Close a connection; one that is gone is no error. Raises `UnavailableError`, `PlatformError`."""


class Functions(Protocol):
    """The functions of the platform, by their deployed names."""

    def start(self, function: str, event: dict[str, Any]) -> None:
        """Hand an event to a function, which runs later: the call waits only until the platform has accepted it.

        Raises `UnavailableError`, `PlatformError`.
        """
