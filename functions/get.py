"""`GET /api/sessions/{session_id}`: one session, active or ended."""

from shared import environment
from shared.http import Request, Response, endpoint
from shared.requests import NoQuery

environment.import_connections()


@endpoint
def handler(request: Request) -> Response:
    """200 with the session, its current status, and how many are connected to it."""
    request.query(NoQuery)
    session = environment.sessions().get_session(request.session_id, request.caller)
    return Response(200, {"session": session, "connection_count": environment.connections().count(session.id)})
