"""Environment variables of the manifest: which names and values the system or AWS refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping

TOTAL_LIMIT = 4096
"""Bytes that Lambda allows for all names and values of one function."""

_AWS_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]+")
_RESERVED = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)
"""Names that Lambda sets itself, and refuses in a deployment."""


def fault(name: str, value: str) -> str | None:
    """Why no process can be started with this variable, or Lambda would not take it; None when it is good."""
    if not name or "=" in name or "\0" in name or not _encodable(name):
        return f"{name!r} cannot be the name of an environment variable"
    if name in _RESERVED:
        return f"{name} is reserved: Lambda sets it itself"
    if "\0" in value or not _encodable(value):
        return "the value has a character that no environment variable can hold"
    return None


def refused_name(name: str) -> bool:
    """Whether Lambda refuses a name that works on this machine."""
    return not _AWS_NAME.fullmatch(name)


def total_size(variables: Mapping[str, str]) -> int:
    """The bytes of all names and values."""
    return sum(len(name.encode()) + len(value.encode()) for name, value in variables.items())


def _encodable(text: str) -> bool:
    """False for lone surrogates, which are not text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
