"""`GET /api/sessions/{session_id}/validate`: may this user join?"""

from shared import environment
from shared.http import Request, Response, endpoint
from shared.requests import ValidateMembership


@endpoint
def handler(request: Request) -> Response:
    """200 when the user may join; otherwise the problem says why not.

    `Switchboard-Status-Age-Ms` tells how old the session's status is that a 200 went by; a problem does not have it.
    """
    query = request.query(ValidateMembership)
    status_age_ms = environment.sessions().validate_with_status_age(request.session_id, query.user_id, query.role)
    return Response(
        200,
        {
            "valid": True,
            "session_id": request.session_id,
            "user_id": query.user_id,
            "role": query.role,
        },
        {"Switchboard-Status-Age-Ms": str(status_age_ms)},
    )
