"""The `alb` events of functions."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from emulator.manifest import known_keys
from emulator.manifest.events.alb_model import AlbConditions, AlbHealthCheck, AlbRule
from emulator.manifest.model import Function
from emulator.manifest.section import Section

MAX_PRIORITY = 50_000
_STATUSES = re.compile(r"\d{3}(-\d{3})?(,\d{3}(-\d{3})?)*")


def read(function: Function, section: Section) -> AlbRule:
    """One event."""
    section.check(known_keys.ALB)
    listener = section.data.get("listenerArn")
    if not listener:
        raise section.error("needs a listenerArn")
    if section.data.get("priority") is None:
        raise section.error("needs a priority")
    priority = section.integer("priority", MAX_PRIORITY, 1, MAX_PRIORITY)
    if section.data.get("authorizer"):
        section.warn(f"{function.name}: the log-in of a load balancer is not emulated: the answer is 401", "authorizer")
    return AlbRule(
        function=function.name,
        region=function.region,
        listener=str(next(iter(listener.values()))) if isinstance(listener, dict) else str(listener),
        priority=priority,
        conditions=_conditions(section.inside("conditions")),
        multi_value=section.data.get("multiValueHeaders") is True,
        authorized=bool(section.data.get("authorizer")),
        health_check=_health_check(section),
        line=section.where.line,
    )


def _conditions(section: Section) -> AlbConditions:
    section.check(known_keys.ALB_CONDITIONS)
    if not section.data:
        raise section.error("at least one condition is needed")
    return AlbConditions(
        paths=section.strings("path"),
        hosts=section.strings("host"),
        methods=section.strings("method"),
        headers=_headers(section),
        query=tuple((str(key), str(value)) for key, value in section.inside("query").data.items()),
        networks=_networks(section),
    )


def _headers(section: Section) -> tuple[tuple[str, tuple[str, ...]], ...]:
    written: Any = section.data.get("header") or []
    listed = written if isinstance(written, list) else [written]
    sections = [Section(section.resolver, section.where.at("header"), one) for one in listed]
    return tuple((one.string("name"), one.strings("values")) for one in sections)


def _networks(section: Section) -> tuple[str, ...]:
    networks = section.strings("ip")
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise section.error(str(error), "ip") from None
    return networks


def _health_check(section: Section) -> AlbHealthCheck | None:
    if not section.data.get("healthCheck"):
        return None
    written = section.data["healthCheck"] is not True
    settings = section.inside("healthCheck") if written else Section(section.resolver, section.where, {})
    if settings.data.get("enabled") is False:
        return None
    statuses = settings.inside("matcher").string("httpCode", "200")
    if not _STATUSES.fullmatch(statuses):
        raise settings.error("must be statuses as in 200-299,301", "matcher")
    return AlbHealthCheck(settings.string("path", "/"), settings.integer("intervalSeconds", 35, 5, 300), statuses)
