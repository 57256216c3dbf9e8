"""`GET /health`: whether this execution environment can serve requests."""

from shared import health
from shared.http import Request, Response, public_endpoint
from shared.requests import CheckHealth


@public_endpoint
def handler(request: Request, stranger: bool) -> Response:
    """200 when it can, 503 when it cannot, with the report. Callers who are not verified get only the status.

    With `depth=live` it is a 200 with the status: the process answers, and the database is not asked.
    """
    if health.is_shallow(request.query(CheckHealth).depth):
        return Response(200, {"status": health.HEALTHY})
    report = health.check()
    return Response(200 if report.status == health.HEALTHY else 503, {"status": report.status} if stranger else report)
