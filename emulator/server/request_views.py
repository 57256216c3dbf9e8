"""Recorded requests as JSON: a line of the list, and everything about one request."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from emulator.gateway.request import body_text
from emulator.manifest.model import Function
from emulator.server import secrets
from emulator.service.logs import Entry
from emulator.service.request_book import Headers, Record

Json = dict[str, Any]


def summary(record: Record) -> Json:
    """The line of one request. A value of the query whose name says that it is a secret is masked."""
    target = record.target
    return {
        "id": record.number,
        "time": written(record.epoch),
        "method": record.method,
        "path": secrets.masked("", target) if "=" in target or ":" in target else target,
        "status": record.status,
        "function": record.function.name if record.function else None,
        "milliseconds": round(record.milliseconds, 3),
        "cold": record.cold,
        **({"note": record.note} if record.note else {}),
        **({"original": record.original} if record.original else {}),
    }


def details(record: Record, *, with_secrets: bool = False) -> Json:
    """Everything about one request; headers that identify the caller are masked unless asked for."""
    outcome, function = record.outcome, record.function
    event = parsed(record.event) if record.event else None
    return {
        **summary(record),
        **({"path": record.target} if with_secrets else {}),
        "port": record.port,
        "handler": function.handler if function else None,
        "route": record.route.key if record.route else None,
        "api": record.route.kind if record.route else None,
        "request_id": record.request_id or None,
        "request": {
            "headers": _headers(record.headers, with_secrets, record.sent_names),
            "body_unread": record.body_unread,
            **_content(record.headers, record.body),
        },
        "event": event if with_secrets else secrets.without_secrets(event),
        "answer": {
            "status": record.status,
            "headers": _headers(record.answer_headers, with_secrets),
            **_content(record.answer_headers, record.answer),
        },
        "error": parsed(outcome.payload) if outcome and outcome.fault else None,
        "fault": outcome.fault.value if outcome and outcome.fault else None,
        "log": _log(record, function) if function else "",
        "spans": [
            {"name": name, "start": round(start, 3), "milliseconds": round(length, 3)}
            for name, start, length in record.spans()
        ],
        "memory": {"used": round(outcome.memory / 1024, 1), "limit": function.memory_size}
        if outcome and function
        else None,
        "authorizer": _authorizer(record, with_secrets),
    }


def written(epoch: float) -> str:
    """A time of day as JSON has it."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _authorizer(record: Record, with_secrets: bool) -> Json | None:
    said = record.authorization
    if said is None:
        return None
    return {
        "name": said.name,
        "allowed": said.allowed,
        "reason": said.reason,
        "principal": said.principal,
        "values": said.values if with_secrets else secrets.without_secrets(said.values),
    }


def _headers(headers: Headers, with_secrets: bool, sent_names: list[bytes] | None = None) -> list[list[str]]:
    names = [name for name, _ in headers] if sent_names is None else sent_names
    return [
        [
            shown := name.decode("latin-1"),
            secrets.MASK if not with_secrets and secrets.is_secret_header(shown) else text,
        ]
        for name, (_, value) in zip(names, headers, strict=True)
        for text in [value.decode("latin-1")]
    ]


def _content(headers: Headers, body: bytes) -> Json:
    kind = next((value.decode("latin-1") for name, value in headers if name == b"content-type"), "")
    text, encoded = body_text(body, kind)
    return {"body": text, "base64": encoded}


def _log(record: Record, function: Function) -> str:
    if record.outcome is None:
        return ""
    return Entry.of(0, record.epoch + record.milliseconds / 1000, function, record.request_id, record.outcome).shown()


def parsed(payload: bytes) -> Any:
    """JSON as it was written; the text of what is no JSON. NaN and Infinity, which JSON has not, become texts."""
    try:
        return json.loads(payload, parse_constant=str)
    except (ValueError, RecursionError):
        return payload.decode(errors="replace")
