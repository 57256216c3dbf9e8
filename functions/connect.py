"""`$connect` of the WebSocket API: open a connection to a session, for a user who may join it."""

from shared import environment
from shared.http import Request, Response, endpoint
from shared.requests import Handshake

environment.import_live()


@endpoint
def handler(request: Request) -> Response:
    """200 opens the connection; any other status refuses the handshake with it, and has the problem of `validate`."""
    query = request.query(Handshake)
    environment.live().connect(request.connection_id, query.session_id, query.user_id, query.role)
    return Response(200, {"session_id": query.session_id, "user_id": query.user_id, "role": query.role})
