"""IAM policies as Lambda authorizers return them: what one says of a call."""

from __future__ import annotations

import re
from typing import Any, Literal

Effect = Literal["Allow", "Deny", "none"]

_ACTION = "execute-api:invoke"
_UNDERSTOOD = frozenset({"Sid", "Effect", "Action", "Resource"})


def effect(policy: Any, arn: str) -> Effect | None:
    """What a policy document says of the call of a route's ARN; None for what is no policy document.

    A statement with anything that is not emulated, such as a Condition, allows nothing and denies everything.
    """
    statements = policy.get("Statement") if isinstance(policy, dict) else None
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list):
        return None
    effects = [one.get("Effect") for one in statements if isinstance(one, dict) and _applies(one, arn)]
    return "Deny" if "Deny" in effects else "Allow" if "Allow" in effects else "none"


def _applies(statement: dict[str, Any], arn: str) -> bool:
    if not statement.keys() <= _UNDERSTOOD:
        return statement.get("Effect") == "Deny"
    actions, resources = _list(statement.get("Action")), _list(statement.get("Resource"))
    invoked = any(_matches(action.lower(), _ACTION) for action in actions)
    return invoked and any(_matches(resource, arn) for resource in resources)


def _list(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _matches(pattern: str, text: str) -> bool:
    """IAM's wildcards: a star for anything, slashes included, a question mark for one character."""
    expression = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None
