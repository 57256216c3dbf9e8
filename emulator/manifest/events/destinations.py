"""Where the record of an asynchronous invocation goes: another function of the manifest, or nowhere here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from emulator.manifest.logical_ids import logical_id
from emulator.manifest.model import Function
from emulator.manifest.section import Section, shown
from emulator.manifest.variables.resolver import Resolver

RETRIES = 2
"""Lambda's default."""


def retries(section: Section) -> int:
    """How often a failed asynchronous invocation is tried again."""
    return section.integer("maximumRetryAttempts", RETRIES, 0, RETRIES)


def read(section: Section, key: str, functions: Iterable[str]) -> str:
    """The name or the ARN of the function under `destinations`, empty where there is none."""
    inside = section.inside("destinations")
    value = inside.data.get(key)
    if isinstance(value, dict):
        value = value.get("arn") if value.get("type") == "function" else ""
        value = _named(value, functions)
        if not value:
            inside.warn("only functions of this manifest are destinations here: nothing is sent there", key)
        return value
    return "" if value is None else inside.string(key)


def check(resolver: Resolver, functions: Mapping[str, Function]) -> None:
    """Warn of destinations that are no function here."""
    here = {name for one in functions.values() for name in (one.name, one.full_name, one.arn)}
    for function in functions.values():
        for key, name in (("onSuccess", function.on_success), ("onFailure", function.on_failure)):
            if name and name not in here:
                section = Section.at(resolver, "functions", function.name, "destinations")
                section.warn(f"{shown(name)} is no function that runs here: nothing is sent there", key)


def _named(arn: Any, functions: Iterable[str]) -> str:
    """The function of an ARN, or of a `Fn::GetAtt` of the framework's name for it."""
    if isinstance(arn, dict):
        target = arn.get("Fn::GetAtt")
        wanted = target.split(".") if isinstance(target, str) else target
        return next((name for name in functions if wanted == [logical_id(name, "LambdaFunction"), "Arn"]), "")
    return arn if isinstance(arn, str) else ""
