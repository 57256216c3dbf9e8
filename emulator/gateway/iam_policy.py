"""IAM policies as Lambda authorizers return them: whether one allows a call."""

from __future__ import annotations

import re
from typing import Any

_ACTION = "execute-api:invoke"


def allows(policy: Any, arn: str) -> bool | None:
    """Whether a policy document allows the call of a route's ARN; None for what is no policy document."""
    statements = policy.get("Statement") if isinstance(policy, dict) else None
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list):
        return None
    effects = [one.get("Effect") for one in statements if isinstance(one, dict) and _applies(one, arn)]
    return "Allow" in effects and "Deny" not in effects


def _applies(statement: dict[str, Any], arn: str) -> bool:
    actions, resources = _list(statement.get("Action")), _list(statement.get("Resource"))
    invoked = any(_matches(action.lower(), _ACTION) for action in actions)
    return invoked and any(_matches(resource, arn) for resource in resources)


def _list(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _matches(pattern: str, text: str) -> bool:
    """IAM's wildcards: a star for anything, slashes included, a question mark for one character."""
    expression = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None
