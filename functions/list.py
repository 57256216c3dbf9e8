"""`GET /api/sessions`: a page of sessions, newest first."""

from shared import environment
from shared.http import Request, Response, endpoint
from shared.requests import ListSessions, session_filter

environment.import_connections()


@endpoint
def handler(request: Request) -> Response:
    """200 with the page, the number of all matching sessions, and the cursor of the next page.

    Each session has the number of its connections.
    """
    query = request.query(ListSessions)
    page = environment.sessions().list_sessions(session_filter(query), query.cursor, query.limit, request.caller)
    return Response(200, {**page._asdict(), "sessions": environment.connections().counted(page.sessions)})
