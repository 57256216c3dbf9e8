"""The settings of one `http` event besides its path and its authorizer."""

from __future__ import annotations

from emulator.manifest.events import request_rules, rest_cors
from emulator.manifest.events.request_rules import SchemaError
from emulator.manifest.events.rest_model import RequestRules, RestMethod
from emulator.manifest.section import Section

MAX_MILLISECONDS = 900_000
_PROXY = ("LAMBDA_PROXY", "AWS_PROXY")
_LAMBDA = ("LAMBDA", "AWS")


class NotEmulatedError(Exception):
    """What is not emulated, so that no request may pass."""


def read(section: Section, method: str, route: str) -> RestMethod:
    """The settings of one event. Where a setting is not emulated, no request passes, and a warning says so."""
    unavailable, rules = None, RequestRules()
    try:
        rules = request_rules.read(section)
        _check_integration(section)
    except (SchemaError, NotEmulatedError) as reason:
        unavailable = str(reason)
        section.warn(f"{route}: {reason}: the answer is 501")
    private = bool(section.data.get("private"))
    if private and not Section.at(section.resolver, "provider").inside("apiGateway").data.get("apiKeys"):
        section.warn(f"{route}: there is no API key in provider.apiGateway.apiKeys: the answer is 403", "private")
    return RestMethod(
        cors=rest_cors.read(section, method),
        private=private,
        rules=rules,
        integration="lambda" if _integration(section) in _LAMBDA else "proxy",
        asynchronous=bool(section.data.get("async")),
        timeout=_timeout(section),
        claims=_claims(section),
        unavailable=unavailable,
    )


def _is_mapped(parameters: Section) -> bool:
    return any(isinstance(value, dict) and value.get("mappedValue") for value in parameters.data.values())


def _timeout(section: Section) -> float | None:
    api = Section.at(section.resolver, "provider").inside("apiGateway")
    usual = api.integer("timeoutInMillis", 0, 0, MAX_MILLISECONDS)
    return section.integer("timeoutInMillis", usual, 0, MAX_MILLISECONDS) / 1000 or None


def _claims(section: Section) -> tuple[str, ...]:
    authorizer = section.data.get("authorizer")
    return section.inside("authorizer").strings("claims") if isinstance(authorizer, dict) else ()


def _integration(section: Section) -> str:
    """As the framework: without `integration`, an event with `async` is not a proxy's."""
    written = section.string("integration", "LAMBDA" if section.data.get("async") else _PROXY[0])
    return written.upper().replace("-", "_")


def _check_integration(section: Section) -> None:
    """Raises NotEmulatedError for an integration that would do something else than the emulator does."""
    kind = _integration(section)
    if kind not in (*_PROXY, *_LAMBDA):
        raise NotEmulatedError(f"integration: {kind.lower()} is not emulated")
    if kind not in _LAMBDA and section.data.get("async"):
        raise NotEmulatedError("async with a proxy integration is not emulated")
    if str(section.inside("response").data.get("transferMode") or "").upper() == "STREAM":
        section.warn("Lambda's Python runtime does not stream: the response is sent when it is complete", "response")
    if kind not in _LAMBDA:
        return
    request = section.inside("request")
    for key in ("template", "passThrough", "contentHandling"):
        if request.data.get(key):
            raise NotEmulatedError(f"request.{key} of integration: lambda is not emulated")
    if any(_is_mapped(request.inside("parameters", place)) for place in ("querystrings", "paths", "headers")):
        raise NotEmulatedError("mappedValue of request.parameters is not emulated")
    if section.inside("response").data:
        raise NotEmulatedError("response of integration: lambda is not emulated")
