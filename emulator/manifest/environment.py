"""Reads the environment variables of the manifest, and checks what the system and AWS refuse."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from emulator.manifest import account
from emulator.manifest.section import Section, shown
from emulator.manifest.yaml import scalars

TOTAL_LIMIT = 4096
"""Bytes that Lambda allows for all names and values of one function."""

_INSERTED = re.compile(r"\$\{([^!}][^}]*)\}")
"""A name in a text of `Fn::Sub`; `${!Name}` stands for the text `${Name}`."""
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


def read(section: Section, region: str) -> dict[str, str]:
    """The variables under `environment`, with the values that a function deployed in this region sees."""
    inside = section.inside("environment")
    values = {}
    for name, value in inside.data.items():
        text = _text(inside, name, value, region)
        _check(inside, name, text or "")
        if text is not None:
            values[name] = text
    return values


def check_size(section: Section, variables: Mapping[str, str]) -> None:
    """Warn when a function's variables are more than Lambda takes."""
    size = sum(len(name.encode()) + len(value.encode()) for name, value in variables.items())
    if size > TOTAL_LIMIT:
        section.warn(f"the environment has {size} bytes; AWS allows {TOTAL_LIMIT}", "environment")


def _text(section: Section, name: str, value: Any, region: str) -> str | None:
    if isinstance(value, dict):
        known = known_text(value, region)
        return _placeholder(section, name, value) if known is None else known
    if isinstance(value, list):
        raise section.error("an environment variable cannot be a list", name)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if scalars.loses_digits(value):
        section.warn(f"{name} is a number that loses digits: functions see {scalars.spelled(value)}; put quotes", name)
    return scalars.spelled(value)


def known_text(value: dict[str, Any], region: str) -> str | None:
    """What `Ref` or `Fn::Sub` gives when it names only what is known here, else None."""
    if len(value) != 1:
        return None
    parameters = account.references(region)
    if isinstance(target := value.get("Ref"), str):
        return parameters.get(target)
    template = value.get("Fn::Sub")
    if not isinstance(template, str) or any(name not in parameters for name in _INSERTED.findall(template)):
        return None
    return _INSERTED.sub(lambda inserted: parameters[inserted[1]], template).replace("${!", "${")


def _placeholder(section: Section, name: str, value: dict[str, Any]) -> str:
    """The placeholder for a value that only CloudFormation knows."""
    kind, target = next(iter(value.items()), ("", ""))
    if len(value) != 1 or not (kind == "Ref" or kind.startswith("Fn::")):
        raise section.error("an environment variable cannot be an object", name)
    text = ".".join(map(str, target)) if isinstance(target, list) else str(target)
    section.warn(
        f"{name} is {kind} {shown(text)[1:-1]}, which only CloudFormation can resolve: "
        f"the functions see a placeholder (or what --env-file and --pass-env give them)",
        name,
    )
    return f"<{kind}:{text}>"


def _check(section: Section, name: str, value: str) -> None:
    if problem := _fault(name, value):
        raise section.error(problem, name)
    if not _AWS_NAME.fullmatch(name):
        section.warn(
            f"AWS refuses {name!r} as a variable's name: "
            f"it must begin with a letter, and have two or more letters, digits and underscores",
            name,
        )


def _fault(name: str, value: str) -> str | None:
    """Why no process can be started with this variable, or Lambda would not take it; None when it is good."""
    if not name or "=" in name or "\0" in name or not _encodable(name):
        return f"{name!r} cannot be the name of an environment variable"
    if name in _RESERVED:
        return f"{name} is reserved: Lambda sets it itself"
    if "\0" in value or not _encodable(value):
        return "the value has a character that no environment variable can hold"
    return None


def _encodable(text: str) -> bool:
    """False for lone surrogates, which are not text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
