"""`POST /api/sessions`: create a session for a fixed list of students."""

from shared import environment
from shared.http import Request, Response, endpoint, replayed
from shared.requests import CreateSession


@endpoint
def handler(request: Request) -> Response:
    """201 with the session and its `Location`."""
    body = request.body(CreateSession)
    key = request.idempotency_key(body)
    session = environment.sessions().create_session(
        body.name, body.instructor_id, body.student_ids, key, request.caller
    )
    return Response(201, {"session": session}, {"Location": f"/api/sessions/{session.id}"} | replayed(key))
