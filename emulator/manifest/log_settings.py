"""How a function's log is written: its own `logs`, or else `provider.logs.lambda`."""

from __future__ import annotations

from emulator.manifest.model import LogSettings
from emulator.manifest.section import Section, shown

FORMATS = ("Text", "JSON")
APPLICATION_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
SYSTEM_LEVELS = ("DEBUG", "INFO", "WARN")
_KEYS = frozenset({"logFormat", "applicationLogLevel", "systemLogLevel", "logGroup"})


def read(function: Section, provider: Section) -> LogSettings:
    """The settings, with Lambda's defaults."""
    section = function.inside("logs") if function.data.get("logs") else provider.inside("logs", "lambda")
    section.check(_KEYS)
    json = _one_of(section, "logFormat", FORMATS, "Text") == "JSON"
    for key in ("applicationLogLevel", "systemLogLevel"):
        if not json and section.data.get(key) is not None:
            section.warn(f"{key} needs logFormat: JSON, without which AWS refuses it", key)
    return LogSettings(
        json=json,
        application_level=_one_of(section, "applicationLogLevel", APPLICATION_LEVELS, "INFO"),
        system_level=_one_of(section, "systemLogLevel", SYSTEM_LEVELS, "INFO"),
        group=section.string("logGroup", ""),
    )


def _one_of(section: Section, key: str, allowed: tuple[str, ...], default: str) -> str:
    value = section.string(key, default)
    if value not in allowed:
        raise section.error(f"must be one of {', '.join(allowed)}, not {shown(value)}", key)
    return value
