"""`DELETE /api/sessions/{session_id}`: end a session. An ended session stays ended."""

from shared import environment
from shared.http import Request, Response, endpoint
from shared.requests import NoQuery

environment.import_live()


@endpoint
def handler(request: Request) -> Response:
    """200 with the ended session."""
    request.query(NoQuery)
    session = environment.sessions().end_session(request.session_id, request.caller)
    return Response(200, {"message": "Session ended successfully", "session": session})
