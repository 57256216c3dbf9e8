"""The authorizer of HTTP routes and of WebSocket's `$connect`: who calls, by the token that was sent."""

import os
from typing import Any

from shared.config import Settings
from shared.identity.authorizing import authorize


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A simple response, or an IAM policy where the API wants one; with the context `{user_id, role}`."""
    return authorize(event, Settings.from_environment(os.environ))
