"""The conditions of a load balancer's rules."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from emulator.gateway.request import Request
from emulator.manifest.events.alb_model import AlbConditions


def hold(conditions: AlbConditions, request: Request) -> bool:
    """Whether every condition holds for a request. A star is any text, a question mark is one character.

    Paths are compared with their case, everything else without it. Parameters are compared as they were sent.
    """
    return (
        (not conditions.methods or request.method in conditions.methods)
        and (not conditions.paths or any(_like(pattern, request.raw_path) for pattern in conditions.paths))
        and (not conditions.hosts or _any_like(conditions.hosts, [_host(request)]))
        and all(_any_like(patterns, request.values(name)) for name, patterns in conditions.headers)
        and (not conditions.query or _has_parameter(conditions, request))
        and (not conditions.networks or _is_from(conditions.networks, request.source_ip))
    )


def _has_parameter(conditions: AlbConditions, request: Request) -> bool:
    sent = [pair.partition("=")[::2] for pair in request.query.split("&")]
    return any(
        _like(key.lower(), name.lower()) and _like(pattern.lower(), value.lower())
        for key, pattern in conditions.query
        for name, value in sent
    )


def _any_like(patterns: Iterable[str], values: list[str]) -> bool:
    return any(_like(pattern.lower(), value.lower()) for pattern in patterns for value in values)


def _like(pattern: str, text: str) -> bool:
    expression = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _host(request: Request) -> str:
    return re.sub(r":\d*$", "", request.header(b"host"))


def _is_from(networks: Iterable[str], address: str) -> bool:
    source = ipaddress.ip_address(address)
    return any(source in ipaddress.ip_network(network, strict=False) for network in networks)
