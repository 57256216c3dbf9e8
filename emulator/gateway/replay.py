"""Sends a recorded request to the gateway again, as it was or changed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.types import Message, Scope

from emulator.gateway.bodies import MAX_BODY
from emulator.gateway.function_result import MalformedError, header_name, header_value
from emulator.gateway.gateway import Gateway
from emulator.gateway.request import SENT_NAMES
from emulator.service.request_book import Record

_METHOD = re.compile(r"[A-Z][A-Z-]{0,31}")
_TARGET = re.compile(r"/[!-~]*")
_LENGTHS = ("content-length", "transfer-encoding")


class BadRequestError(Exception):
    """A changed request that cannot be sent; the text says why."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What is different from the recorded request; None is what stays as it was."""

    method: str | None = None
    path: str | None = None
    """With its query, percent-encoded."""
    headers: list[tuple[str, str]] | None = None
    body: bytes | None = None


async def replay(gateway: Gateway, record: Record, changes: Changes) -> Record:
    """Send the request, and return the record of the new one. Raises BadRequestError."""
    body = record.body if changes.body is None else changes.body
    if changes.body is None and record.body_unread:
        raise BadRequestError("the gateway answered this request before it read the body: send it with a body")
    if len(body) > MAX_BODY:
        raise BadRequestError(f"the body has more than {MAX_BODY} bytes")

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(_: Message) -> None:
        """The answer is in the record."""

    return await gateway.serve(_scope(record, changes, len(body)), receive, send, record.number)


def _scope(record: Record, changes: Changes, length: int) -> Scope:
    method = record.method if changes.method is None else changes.method
    target = record.target if changes.path is None else changes.path
    if changes.method is not None and not _METHOD.fullmatch(method):
        raise BadRequestError(f"{method!r} is not a method in capital letters")
    if changes.path is not None and not _TARGET.fullmatch(target):
        raise BadRequestError("the path begins with / and is percent-encoded: it has no spaces and only ASCII")
    path, _, query = target.partition("?")
    sent = _sent(record, changes.headers)
    if length:
        sent.append((b"content-length", str(length).encode()))
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "raw_path": path.encode("latin-1"),
        "path": path,
        "query_string": query.encode("latin-1"),
        "headers": [(name.lower(), value) for name, value in sent],
        "client": (record.client, 0),
        "server": ("127.0.0.1", record.port),
        SENT_NAMES: [name for name, _ in sent],
    }


def _sent(record: Record, changed: list[tuple[str, str]] | None) -> list[tuple[bytes, bytes]]:
    """The headers with their names as they are sent, without those of the body's length."""
    try:
        given = (
            [(name, value) for name, (_, value) in zip(record.sent_names, record.headers, strict=True)]
            if changed is None
            else [(header_name(name), header_value(name, value)) for name, value in changed]
        )
    except MalformedError as error:
        raise BadRequestError(str(error)) from None
    return [(name, value) for name, value in given if name.lower().decode("latin-1") not in _LENGTHS]
