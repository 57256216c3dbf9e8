"""`POST /api/sessions/{session_id}/messages`: store a message in a session."""

from shared import environment
from shared.http import Request, Response, endpoint, replayed
from shared.requests import StoreMessage, message_draft

environment.import_live()


@endpoint
def handler(request: Request) -> Response:
    """201 with the message as it was stored."""
    body = request.body(StoreMessage)
    draft = message_draft(request.session_id, body)
    key = request.idempotency_key(body)
    message = environment.messages().store_message(draft, body.role, key)
    return Response(201, {"message": message}, replayed(key))
