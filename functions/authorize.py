"""The authorizer of HTTP routes and of WebSocket's `$connect`: which caller a token belongs to."""

import os
from typing import Any

from shared.config import Settings
from shared.identity.authorizing import authorize


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A simple response, or an IAM policy where the API needs one. Both have the context `{user_id, role}`."""
    return authorize(event, Settings.from_environment(os.environ))
