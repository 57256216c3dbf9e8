"""The manifest's authorizers: who may call a route."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from emulator.manifest.document import ManifestError
from emulator.manifest.model import Function, JwtAuthorizer, RequestAuthorizer

Refuse = Callable[[str], ManifestError]
DEFAULT_IDENTITY = ("$request.header.Authorization",)


def read(
    name: str, settings: dict[str, Any], functions: Mapping[str, Function], refuse: Refuse
) -> RequestAuthorizer | JwtAuthorizer:
    """One entry of `provider.httpApi.authorizers`."""
    sources = _identity_sources(settings, refuse)
    if str(settings.get("type") or "jwt").lower() == "request":
        return RequestAuthorizer(
            name=name,
            function=_function(settings, functions, refuse),
            identity_source=sources,
            ttl=_ttl(settings, refuse),
            simple_responses=settings.get("enableSimpleResponses") is True,
            payload_version=str(settings.get("payloadVersion") or "2.0"),
        )
    issuer, audience = settings.get("issuerUrl"), settings.get("audience")
    if not isinstance(issuer, str) or not audience:
        raise refuse("a JWT authorizer needs issuerUrl and audience")
    audiences = audience if isinstance(audience, list) else [audience]
    return JwtAuthorizer(name, issuer, tuple(map(str, audiences)), sources or DEFAULT_IDENTITY)


def named(value: Any, known: Mapping[str, object], refuse: Refuse) -> str | None:
    """The authorizer that a route names; one that the manifest does not have is refused."""
    if value is None:
        return None
    name = value.get("name") if isinstance(value, dict) else value
    if name not in known:
        raise refuse(f"the authorizer {name!r} is not among provider.httpApi.authorizers")
    return str(name)


def scopes(value: Any) -> tuple[str, ...]:
    """The scopes that a route asks of a token, of which one is enough."""
    found = value.get("scopes") if isinstance(value, dict) else None
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _function(settings: dict[str, Any], functions: Mapping[str, Function], refuse: Refuse) -> Function:
    name = settings.get("functionName")
    if name not in functions:
        raise refuse(f"functionName: there is no function {name!r}")
    return functions[str(name)]


def _identity_sources(settings: dict[str, Any], refuse: Refuse) -> tuple[str, ...]:
    value = settings.get("identitySource") or []
    sources = value if isinstance(value, list) else [part.strip() for part in str(value).split(",")]
    for source in sources:
        if not isinstance(source, str) or not source.startswith(("$request.", "$context.", "$stageVariables.")):
            raise refuse(f"identitySource: {source!r} is not like $request.header.Authorization")
    return tuple(sources)


def _ttl(settings: dict[str, Any], refuse: Refuse) -> int:
    ttl = settings.get("resultTtlInSeconds", 0)
    if isinstance(ttl, bool) or not isinstance(ttl, int) or not 0 <= ttl <= 3600:
        raise refuse("resultTtlInSeconds must be a whole number from 0 to 3600")
    return ttl
