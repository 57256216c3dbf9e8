"""`GET /health`: can this container serve?"""

from shared import health
from shared.http import Request, Response, endpoint
from shared.requests import NoQuery


@endpoint
def handler(request: Request) -> Response:
    """200 when it can, 503 when it cannot, with the same body."""
    request.query(NoQuery)
    report = health.check()
    return Response(200 if report.status == health.HEALTHY else 503, report)
