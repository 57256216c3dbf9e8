"""`GET /api/sessions/{session_id}/validate`: whether a user may join the session."""

from shared import environment
from shared.http import Request, Response, endpoint
from shared.requests import ValidateMembership


@endpoint
def handler(request: Request) -> Response:
    """200 if the user may join, otherwise a problem with the reason.

    A 200 has the header `Switchboard-Status-Age-Ms`: the age of the session's status that was used. A problem has none.
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
