"""One HTTP request as the gateway sees it, before it becomes an event."""

from __future__ import annotations

import base64
import itertools
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from emulator.service import ids

HEADER_LIMIT = 10_240
"""The most bytes of request line and headers together."""

SENT_NAMES = "emulator.sent_names"
"""The key of an ASGI scope that has the names of its headers as the client wrote them."""

_TRACE_ID = re.compile(rb"Root=1-[0-9a-f]{8}-[0-9a-f]{24}(?:;[A-Za-z]+=[A-Za-z0-9:]+)*")
_TEXT = ("text/", "application/json", "application/javascript", "application/xml", "application/graphql")


@dataclass(slots=True)
class Request:
    """A request, from its head on."""

    method: str
    raw_path: str
    query: str
    headers: list[tuple[bytes, bytes]]
    """With names in lower case."""
    sent_names: list[bytes]
    """The names of `headers` as the client wrote them."""
    source_ip: str
    protocol: str
    id: str
    trace_id: str
    epoch: float
    port: int
    body: bytes = b""
    """Empty until the whole body has been read."""

    @classmethod
    def from_scope(cls, scope: Any, now: float) -> Request:
        """The request of an ASGI scope, at a time since 1970 in seconds.

        Each gets an id, and a trace id where the client has sent none.
        """
        headers = scope["headers"]
        client, server = scope.get("client"), scope.get("server")
        return cls(
            method=scope["method"],
            raw_path=scope["raw_path"].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            sent_names=scope.get(SENT_NAMES) or [name for name, _ in headers],
            source_ip=client[0] if client else "127.0.0.1",
            protocol=f"HTTP/{scope['http_version']}",
            id=ids.request(),
            trace_id=_sent_trace(headers) or ids.trace(now),
            epoch=now,
            port=server[1] if server else 80,
        )

    @property
    def path(self) -> str:
        """The path percent-decoded, as the gateway hands it on."""
        return unquote(self.raw_path) if "%" in self.raw_path else self.raw_path

    @property
    def head_size(self) -> int:
        """The bytes of the request line and the headers, as they came over the wire."""
        query = len("?" + self.query) if self.query else 0
        line = len(self.method) + len(self.raw_path) + query + len("  HTTP/1.1\r\n")
        return line + sum(map(len, itertools.chain(*self.headers))) + len(": \r\n") * len(self.headers)

    def header(self, name: bytes) -> str:
        """The first value of the header with this lowercase name, empty where there is none."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return ""

    def values(self, name: str) -> list[str]:
        """Every value of a header, whatever the case of its name is."""
        wanted = name.lower().encode("latin-1", "replace")
        return [value.decode("latin-1") for key, value in self.headers if key == wanted]


def _sent_trace(headers: list[tuple[bytes, bytes]]) -> str:
    """The client's X-Amzn-Trace-Id if it is one of X-Ray's form, else nothing."""
    for name, value in headers:
        if name == b"x-amzn-trace-id":
            return value.decode() if _TRACE_ID.fullmatch(value) else ""
    return ""


def body_text(body: bytes, content_type: str) -> tuple[str, bool]:
    """A body as an event carries it: text, or with the flag set base64. Nothing is lost either way."""
    kind = content_type.partition(";")[0].strip().lower()
    if not kind or kind.startswith(_TEXT) or kind.endswith(("+json", "+xml")):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), True
