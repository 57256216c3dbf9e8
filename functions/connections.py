"""`GET /api/sessions/{session_id}/connections`: who is connected to a session, for instructors."""

from shared import environment
from shared.http import Request, Response, endpoint
from shared.requests import NoQuery

environment.import_connections()


@endpoint
def handler(request: Request) -> Response:
    """200 with user, role and time of each connection, in the order of their coming."""
    request.query(NoQuery)
    participants = environment.connections().participants(request.session_id, request.caller)
    return Response(200, {"connections": [participant._asdict() for participant in participants]})
