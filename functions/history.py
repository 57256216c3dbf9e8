"""`GET /api/sessions/{session_id}/messages`: the messages of a session, in order."""

from shared import environment
from shared.http import Request, Response, endpoint
from shared.requests import ReadHistory, reader


@endpoint
def handler(request: Request) -> Response:
    """200 with a page of messages and the cursor of the next page."""
    query = request.query(ReadHistory)
    page = environment.messages().session_history(request.session_id, reader(query), query.cursor, query.limit)
    return Response(200, page._asdict())
