"""The authorizers of `http` events: Lambda functions of this manifest, and Cognito user pools."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from emulator.manifest.model import CognitoAuthorizer, Function, RestAuthorizer
from emulator.manifest.section import Section
from emulator.manifest.variables.placeholder import Placeholder

DEFAULT_TTL = 300
MAX_TTL = 3600
DEFAULT_SOURCE = "method.request.header.Authorization"
COGNITO = "COGNITO_USER_POOLS"

_POOL = re.compile(r"arn:aws[\w-]*:cognito-idp:([\w-]+):\d*:userpool/([\w-]+)")
_FUNCTION = re.compile(r"arn:aws[\w-]*:lambda:[\w-]+:\d*:function:([\w-]+)(?::.*)?")
_SOURCE = re.compile(
    r"(method\.request\.(header|querystring|multivalueheader|multivaluequerystring)|context|stageVariables)\..+"
)


class UnavailableError(Exception):
    """An authorizer that cannot be asked here; the text says why."""


def read(
    section: Section, functions: Mapping[str, Function], left_out: Mapping[str, str]
) -> RestAuthorizer | CognitoAuthorizer:
    """The authorizer of an `http` event, with the framework's defaults; an UnavailableError for any other kind.

    `left_out` says of functions why they do not run here.
    """
    value = section.data["authorizer"]
    if isinstance(value, dict):
        settings = section.inside("authorizer")
    else:
        key = "arn" if isinstance(value, str) and ":" in value else "name"
        settings = Section(section.resolver, section.where.at("authorizer"), {key: value})
    pool = _POOL.fullmatch(_arn(settings.data))
    if pool or _type(settings) == COGNITO:
        return _cognito(settings, pool)
    return _lambda(settings, function_of(settings, functions, left_out))


def function_of(settings: Section, functions: Mapping[str, Function], left_out: Mapping[str, str]) -> Function:
    """The function that an authorizer's settings name or whose ARN they have. Raises UnavailableError."""
    if arn := _arn(settings.data):
        return _of_arn(arn, functions)
    return _named(settings, settings.data.get("name"), functions, left_out)


def _arn(settings: dict[str, Any]) -> str:
    """The ARN as a text, empty where there is none; one that only an account has is an UnavailableError."""
    arn = settings.get("arn")
    if "authorizerId" in settings:
        raise UnavailableError("it is not part of this manifest")
    if isinstance(arn, dict | Placeholder):
        raise UnavailableError("its ARN is not known here: give the ARN itself, for example by a ${param:...}")
    return str(arn or "")


def _cognito(settings: Section, pool: re.Match[str] | None) -> CognitoAuthorizer:
    if pool is None:
        raise settings.error(f"{COGNITO} needs the ARN of a user pool", "arn")
    return CognitoAuthorizer(
        name=f"http.{pool[2]}",
        region=pool[1],
        pool=pool[2],
        identity_source=(_sources(settings) or (DEFAULT_SOURCE,))[0],
        validation=_expression(settings),
    )


def _lambda(settings: Section, function: Function) -> RestAuthorizer:
    kind: Literal["TOKEN", "REQUEST"] = "REQUEST" if _type(settings) == "REQUEST" else "TOKEN"
    ttl = settings.integer("resultTtlInSeconds", DEFAULT_TTL, 0, MAX_TTL)
    sources = _sources(settings)
    if not sources and not (kind == "REQUEST" and ttl == 0):
        sources = (DEFAULT_SOURCE,)
    return RestAuthorizer(f"http.{function.name}", function, kind, sources, _expression(settings), ttl)


def _named(settings: Section, name: Any, functions: Mapping[str, Function], left_out: Mapping[str, str]) -> Function:
    if isinstance(name, Placeholder):
        raise UnavailableError("its name is not known here")
    if name in left_out:
        raise UnavailableError(left_out[str(name)])
    if not isinstance(name, str) or name not in functions:
        raise settings.error(f"there is no function {name!r} for this authorizer")
    return functions[name]


def _of_arn(arn: str, functions: Mapping[str, Function]) -> Function:
    match = _FUNCTION.fullmatch(arn)
    for function in functions.values():
        if match and function.full_name == match[1]:
            return function
    raise UnavailableError("its function is not in this manifest")


def _type(settings: Section) -> str:
    return str(settings.data.get("type") or "").upper()


def _sources(settings: Section) -> tuple[str, ...]:
    sources = tuple(filter(None, (part.strip() for part in settings.string("identitySource", "").split(","))))
    for source in sources:
        if not _SOURCE.fullmatch(source):
            raise settings.error(f"{source!r} is not like {DEFAULT_SOURCE}", "identitySource")
    return sources


def _expression(settings: Section) -> str | None:
    expression = settings.data.get("identityValidationExpression")
    if expression is None:
        return None
    try:
        re.compile(str(expression))
    except re.error as error:
        raise settings.error(f"is no regular expression: {error}", "identityValidationExpression") from None
    return str(expression)
