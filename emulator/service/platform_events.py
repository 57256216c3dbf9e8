"""Lambda's own lines in a log of the JSON format: which there are at each level, and their fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from emulator.containers import Fault, stamp
from emulator.manifest.model import QUALIFIER

_LEVELS = ("DEBUG", "INFO", "WARN")
_STATUS = {None: "success", Fault.RAISED: "error", Fault.TIMED_OUT: "timeout"}


def start(level: str, epoch: float, request_id: str) -> str:
    """The line before the function's own."""
    return _line(level, "INFO", epoch, "platform.start", {"requestId": request_id, "version": QUALIFIER})


def end(level: str, epoch: float, request_id: str, fault: Fault | None, metrics: Mapping[str, Any]) -> str:
    """The lines after the function's own; `metrics` are those of the report."""
    record = {"requestId": request_id, "status": _STATUS.get(fault, "failure")}
    done = record | {"metrics": {"durationMs": metrics["durationMs"]}}
    failed = "WARN" if fault else None
    return _line(level, failed or "DEBUG", epoch, "platform.runtimeDone", done) + _line(
        level, failed or "INFO", epoch, "platform.report", record | {"metrics": dict(metrics)}
    )


def _line(wanted: str, level: str, epoch: float, kind: str, record: dict[str, Any]) -> str:
    if _LEVELS.index(level) < _LEVELS.index(wanted):
        return ""
    return json.dumps({"time": stamp(epoch), "type": kind, "record": record}) + "\n"
