"""The `schedule` events of functions."""

from __future__ import annotations

import json
import zoneinfo
from typing import Any

from emulator.manifest import known_keys
from emulator.manifest.events import cron, inputs
from emulator.manifest.model import Function, Schedule
from emulator.manifest.section import Section
from emulator.manifest.variables.placeholder import Placeholder

SCHEDULER = "scheduler"
_ONLY_RULES = ("inputPath", "inputTransformer")
_ONLY_SCHEDULER = ("timezone", "groupName")


def read(function: Function, section: Section, settings: Any, number: int) -> list[Schedule]:
    """The schedules of one event, which can have several expressions. `number` is for the first one's name."""
    if isinstance(settings, str):
        section = Section(section.resolver, section.where, {"rate": settings})
    section.check(known_keys.SCHEDULE)
    data = section.data
    scheduler = data.get("method") == SCHEDULER
    for key in _ONLY_RULES if scheduler else _ONLY_SCHEDULER:
        if data.get(key) is not None:
            raise section.error(f"is not supported with method: {'scheduler' if scheduler else 'eventBus'}", key)
    rates = data.get("rate")
    expressions = rates if isinstance(rates, list) else [rates]
    if any(isinstance(value, (dict, Placeholder)) for value in (data.get("timezone"), *expressions)):
        section.warn(
            f"only a deployment knows the rate or the time zone: this schedule of {function.name} does not run"
        )
        return []
    if len(expressions) > 1 and data.get("name"):
        raise section.error("several expressions cannot have one name", "name")
    return [
        Schedule(
            name=str(data.get("name") or f"{function.full_name}-schedule-{number + index}"),
            function=function,
            expression=_expression(expression, section),
            enabled=data.get("enabled", True) not in (False, "false"),
            input=_input(section),
            line=section.where.line,
            timezone=_timezone(section),
            scheduler=scheduler,
            group=str(data.get("groupName") or "default"),
        )
        for index, expression in enumerate(expressions)
    ]


def _expression(value: Any, section: Section) -> str:
    try:
        cron.parse(str(value))
    except cron.ExpressionError as error:
        raise section.error(str(error)[:200]) from None
    return str(value)


def _timezone(section: Section) -> str:
    name = section.string("timezone", "UTC")
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise section.error(f"{name[:100]!r} is not a time zone, as in America/New_York", "timezone") from None
    return name


def _input(section: Section) -> inputs.Input:
    data = section.data
    given = [key for key in ("input", *_ONLY_RULES) if data.get(key) is not None]
    if len(given) > 1:
        raise section.error(f"{' and '.join(given)} exclude one another")
    try:
        if "inputPath" in given:
            return inputs.Path(section.string("inputPath"))
        if "inputTransformer" in given:
            transformer = section.inside("inputTransformer")
            paths = transformer.inside("inputPathsMap").data
            return inputs.Template(transformer.string("inputTemplate"), {name: str(paths[name]) for name in paths})
        return inputs.Constant(_constant(data["input"])) if given else inputs.Whole()
    except ValueError as error:
        raise section.error(str(error)[:200], given[0]) from None


def _constant(value: Any) -> Any:
    """The event that the framework sends: a text is JSON, and so is a `body` that is a text."""
    if isinstance(value, dict) and isinstance(value.get("body"), str):
        return {**value, "body": json.loads(value["body"])}
    return json.loads(value) if isinstance(value, str) else value
