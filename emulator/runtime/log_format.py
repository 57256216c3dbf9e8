"""The lines that the runtime itself writes to a function's log: as text, or as JSON with AWS_LAMBDA_LOG_FORMAT=JSON.

The fields are those of Amazon's runtime client for Python.
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from typing import Any

from .answers import Answer

TIME = "%Y-%m-%dT%H:%M:%S"
LEVELS = {"TRACE": "DEBUG"}
"""Levels of Lambda that Python's logging does not have."""
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "aws_request_id"} - {"taskName"}

# What is not JSON is written as text, so that no record is lost.
_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


class JsonFormatter(logging.Formatter):
    """A record of `logging` as one line of JSON, with the fields of its `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        kind, error, trace = record.exc_info or (None, None, None)
        plain = isinstance(record.msg, dict) and not record.args
        fields: dict[str, Any] = {
            "timestamp": time.strftime(f"{TIME}Z", time.gmtime(record.created)),
            "level": logging.getLevelName(min(50, record.levelno // 10 * 10)),
            "message": record.msg if plain else record.getMessage(),
            "logger": record.name,
            "stackTrace": traceback.format_tb(trace) if kind else None,
            "errorType": kind.__name__ if kind else None,
            "errorMessage": str(error) if kind else None,
            "requestId": getattr(record, "aws_request_id", None),
            "location": f"{record.pathname}:{record.funcName}:{record.lineno}" if kind else None,
        }
        added = {name: value for name, value in vars(record).items() if name not in _OWN and name not in fields}
        return _encode({name: value for name, value in (fields | added).items() if value is not None})


def text_formatter() -> logging.Formatter:
    """The formatter of the text format."""
    formatter = logging.Formatter("[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", TIME)
    formatter.converter = time.gmtime
    return formatter


def error_line(answer: Answer, *, as_json: bool) -> str:
    """The log's line, or lines, of a call that failed."""
    if not as_json:
        return answer.error or ""
    now = time.strftime(f"{TIME}Z", time.gmtime())
    return _encode({"timestamp": now, "level": "ERROR", **json.loads(answer.frame)})
