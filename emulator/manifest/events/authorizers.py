"""The authorizers of a manifest, which decide who may call a route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulator.manifest import known_keys
from emulator.manifest.events import rest_authorizers
from emulator.manifest.model import (
    ApiKind,
    Authorizer,
    Function,
    IamAuthorizer,
    JwtAuthorizer,
    RequestAuthorizer,
    UnavailableAuthorizer,
)
from emulator.manifest.section import Section
from emulator.manifest.variables.placeholder import Placeholder

DEFAULT_IDENTITY = ("$request.header.Authorization",)
IAM = "aws_iam"


def read(name: str, section: Section, functions: Mapping[str, Function], left_out: Mapping[str, str]) -> Authorizer:
    """One entry of `provider.httpApi.authorizers`; `left_out` has the functions that do not run here, and why."""
    section.check(known_keys.AUTHORIZER)
    settings = section.data
    sources = _identity_sources(section)
    if str(settings.get("type") or "jwt").lower() == "request":
        target = settings.get("functionName")
        if target is None or target in left_out:
            return _unavailable(name, section, left_out.get(target or "", "its function is not in this manifest"))
        return RequestAuthorizer(
            name=name,
            function=_function(section, functions),
            identity_source=sources,
            ttl=section.integer("resultTtlInSeconds", 0, 0, 3600),
            simple_responses=settings.get("enableSimpleResponses") is True,
            payload_version=str(settings.get("payloadVersion") or "2.0"),
        )
    if any(map(_only_deployed, (settings.get("issuerUrl"), *_listed(settings.get("audience"))))):
        return _unavailable(name, section, "only a deployment knows its issuerUrl or audience")
    issuer, audience = settings.get("issuerUrl"), section.strings("audience")
    if not isinstance(issuer, str) or not audience:
        raise section.error("a JWT authorizer needs issuerUrl and audience")
    return JwtAuthorizer(name, issuer, audience, sources or DEFAULT_IDENTITY)


def _only_deployed(value: Any) -> bool:
    """Whether CloudFormation or another service gives this value."""
    return isinstance(value, (dict, Placeholder))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@dataclass(frozen=True, slots=True)
class Known:
    """What the authorizer of a route may name."""

    functions: Mapping[str, Function]
    left_out: Mapping[str, str]
    """Of functions that do not run here: why."""
    authorizers: Mapping[str, Authorizer]
    """Those of `provider.httpApi.authorizers`."""


def of_route(section: Section, kind: ApiKind, route: str, known: Known) -> Authorizer:
    """The authorizer of a route. One that cannot be asked here refuses everybody, and a warning says so."""
    value = section.data["authorizer"]
    settings = value if isinstance(value, dict) else {"name": value}
    if isinstance(value, dict):
        section.inside("authorizer").check(known_keys.ROUTE_AUTHORIZER)
    name = settings.get("name")
    if IAM in (str(settings.get("type") or "").lower(), str(name or "").lower()):
        section.warn(f"{route}: a request needs a SigV4 signature, which is not checked here", "authorizer")
        return IamAuthorizer(IAM)
    own = f"{section.where.name}.authorizer"
    try:
        if kind == "http":
            return rest_authorizers.read(section, known.functions, known.left_out)
        return _named(section, settings, known)
    except rest_authorizers.UnavailableError as reason:
        return _unavailable(own, section, str(reason), "authorizer", prefix=f"{route}: ")


def _named(section: Section, settings: dict[str, Any], known: Known) -> Authorizer:
    name = settings.get("name")
    if "id" in settings:
        raise rest_authorizers.UnavailableError("it is not part of this manifest")
    if not isinstance(name, str) or name not in known.authorizers:
        raise section.error(f"the authorizer {name!r} is not among provider.httpApi.authorizers", "authorizer")
    return known.authorizers[name]


def scopes(value: Any) -> tuple[str, ...]:
    """The scopes of a route. A token needs one of them."""
    found = value.get("scopes") if isinstance(value, dict) else None
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _unavailable(name: str, section: Section, reason: str, *keys: str, prefix: str = "") -> UnavailableAuthorizer:
    section.warn(f"{prefix}the authorizer cannot be asked here ({reason}): the answer is 403", *keys)
    return UnavailableAuthorizer(name, reason)


def _function(section: Section, functions: Mapping[str, Function]) -> Function:
    name = section.data.get("functionName")
    if not isinstance(name, str) or name not in functions:
        raise section.error(f"functionName: there is no function {name!r}")
    return functions[name]


def _identity_sources(section: Section) -> tuple[str, ...]:
    value = section.data.get("identitySource") or []
    sources = value if isinstance(value, list) else [part.strip() for part in str(value).split(",")]
    for source in sources:
        if not isinstance(source, str) or not source.startswith(("$request.", "$context.", "$stageVariables.")):
            raise section.error(f"{source!r} is not like $request.header.Authorization", "identitySource")
    return tuple(sources)
