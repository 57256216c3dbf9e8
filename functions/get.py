"""`GET /api/sessions/{session_id}`: one session, active or ended."""

from shared import environment
from shared.http import Request, Response, endpoint
from shared.requests import NoQuery


@endpoint
def handler(request: Request) -> Response:
    """200 with the session and its current status."""
    request.query(NoQuery)
    return Response(200, {"session": environment.sessions().get_session(request.session_id, request.caller)})
