"""`$disconnect` of the WebSocket API: forget a connection that was closed. It may come late, twice, or never."""

from collections.abc import Callable

from shared import environment
from shared.sockets import Frame, frame_endpoint

environment.import_connections()


@frame_endpoint
def handler(frame: Frame, seconds_left: Callable[[], float]) -> None:
    """Nobody is left to get an answer."""
    environment.connections().disconnect(frame.connection_id, frame.sender.session_id)
