"""The conditions of a load balancer's rules."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from emulator.gateway.request import Head
from emulator.manifest.events.alb_model import AlbConditions


def hold(conditions: AlbConditions, head: Head) -> bool:
    """Whether every condition holds for a request. A star is any text, a question mark is one character.

    Paths are compared with their case, everything else without it. Parameters are compared as they were sent.
    """
    return (
        (not conditions.methods or head.method in conditions.methods)
        and (not conditions.paths or any(_like(pattern, head.raw_path) for pattern in conditions.paths))
        and (not conditions.hosts or _any_like(conditions.hosts, [_host(head)]))
        and all(_any_like(patterns, head.values(name)) for name, patterns in conditions.headers)
        and (not conditions.query or _has_parameter(conditions, head))
        and (not conditions.networks or _is_from(conditions.networks, head.source_ip))
    )


def _has_parameter(conditions: AlbConditions, head: Head) -> bool:
    sent = [pair.partition("=")[::2] for pair in head.query.split("&")]
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


def _host(head: Head) -> str:
    return re.sub(r":\d*$", "", next(iter(head.values("host")), ""))


def _is_from(networks: Iterable[str], address: str) -> bool:
    source = ipaddress.ip_address(address)
    return any(source in ipaddress.ip_network(network, strict=False) for network in networks)
