"""Typed input: what a body and a query may hold. Unknown fields are refused by name, so a misspelt one is noticed.

Here only the shape is checked: JSON, fields and their types. The managers check forms and limits (`shared.rules`).
"""

import json
import re
from typing import Annotated, Any, TypeVar

import msgspec

from shared.entities import DEFAULT_CONTEXT, Caller, MessageDraft, Reader, SessionFilter
from shared.errors import ContentTooLargeError, InvalidRequestError
from shared.identity import filled_in
from shared.shapes import prepared

MAX_BODY_BYTES = 4 * 1024 * 1024
"""So that the answer to what was accepted fits Lambda's 6 MB, escaped as it is there."""

_MAX_DETAIL = 300  # characters of a message that quotes its caller
_DIGITS = re.compile("[0-9]+")
_MAX_DEPTH = 100  # of brackets and braces in a body

T = TypeVar("T")


@prepared
class CreateSession(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /api/sessions`."""

    name: str
    instructor_id: str
    student_ids: list[str]


@prepared
class StoreMessage(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /api/sessions/{session_id}/messages`."""

    type: str
    from_user: str
    role: str
    content: Any
    context: str | None = None
    to_user: str | None = None


Limit = Annotated[int, msgspec.Meta(ge=1, le=1000)]


@prepared
class NoQuery(msgspec.Struct, forbid_unknown_fields=True):
    """A route without query parameters."""


@prepared
class CheckHealth(msgspec.Struct, forbid_unknown_fields=True):
    """The query of `GET /health`."""

    depth: str = "full"


@prepared
class ListSessions(msgspec.Struct, forbid_unknown_fields=True):
    """The query of `GET /api/sessions`."""

    status: str = "active"
    created_by: str | None = None
    student_id: str | None = None
    limit: Limit = 100
    cursor: str | None = None


@prepared
class ValidateMembership(msgspec.Struct, forbid_unknown_fields=True):
    """The query of `GET /api/sessions/{session_id}/validate`."""

    user_id: str
    role: str


@prepared
class ReadHistory(msgspec.Struct, forbid_unknown_fields=True):
    """The query of `GET /api/sessions/{session_id}/messages`."""

    user_id: str | None = None
    role: str | None = None
    limit: Limit = 1000
    cursor: str | None = None


@prepared
class Handshake(msgspec.Struct, forbid_unknown_fields=True):
    """The query of a WebSocket handshake. `authorize` reads the token."""

    user_id: str
    role: str
    session_id: str
    token: str | None = None


@prepared
class SendMessage(msgspec.Struct, forbid_unknown_fields=True):
    """A frame of a client. Who sends it, and in which session, is the connection's: it cannot be said here."""

    type: str
    content: Any
    context: str | None = None
    to_user: str | None = None


def parse_body(body: bytes, kind: type[T], caller: Caller | None = None) -> T:
    """A JSON object of this type, with what it leaves out of a verified caller filled in.

    Raises `InvalidRequestError`, `ContentTooLargeError`, `IdentityMismatchError`.
    """
    if len(body) > MAX_BODY_BYTES:
        raise ContentTooLargeError(f"request body must be at most {MAX_BODY_BYTES} bytes")
    if not body.strip():
        raise InvalidRequestError("request body: missing, it must be a JSON object")
    value = _parse_json(body)
    if not isinstance(value, dict):
        raise InvalidRequestError("request body: must be a JSON object")
    return _convert(filled_in(value, _fields(kind), caller), kind, "field", strict=True)


def parse_query(query: dict[str, str], kind: type[T], caller: Caller | None = None) -> T:
    """Query parameters of this type, with what they leave out of a verified caller filled in.

    A limit is read from its decimal digits. Raises `InvalidRequestError`, `IdentityMismatchError`.
    """
    if (limit := query.get("limit")) is not None:
        if not _DIGITS.fullmatch(limit):
            raise InvalidRequestError("limit: must be a whole number in decimal digits")
        query = query | {"limit": limit.lstrip("0") or "0"}  # msgspec reads no number with leading zeros
    return _convert(filled_in(query, _fields(kind), caller), kind, "query parameter", strict=False)


def _fields(kind: type[Any]) -> tuple[str, ...]:
    fields: tuple[str, ...] = kind.__struct_fields__
    return fields


def session_filter(query: ListSessions) -> SessionFilter:
    """The filter of a list's query. Its values are not checked."""
    return SessionFilter(None if query.status == "all" else query.status, query.created_by, query.student_id)


def reader(query: ReadHistory) -> Reader | None:
    """The reader of a history, None without user and role. Raises `InvalidRequestError` for only one of them."""
    if query.user_id is None and query.role is None:
        return None
    if query.user_id is None or query.role is None:
        raise InvalidRequestError("user_id and role: come together or not at all")
    return Reader(query.user_id, query.role)


def message_draft(session_id: str, body: StoreMessage) -> MessageDraft:
    """The message that a body asks to store. Its values are not checked."""
    context = body.context or DEFAULT_CONTEXT
    content = compact_content(body.content)
    return MessageDraft(session_id, body.type, context, body.from_user, body.to_user, content)


def frame_draft(session_id: str, from_user: str, frame: SendMessage) -> MessageDraft:
    """The message that a frame asks to store. Its values are not checked."""
    context = frame.context or DEFAULT_CONTEXT
    return MessageDraft(session_id, frame.type, context, from_user, frame.to_user, compact_content(frame.content))


def compact_content(content: Any) -> msgspec.Raw:
    """A message's content as compact UTF-8 JSON; empty for a value that JSON cannot express, such as NaN."""
    try:
        return msgspec.Raw(_compact.encode(content).encode())
    except ValueError:  # a UnicodeEncodeError is one too
        return msgspec.Raw()


_compact = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"))


def _convert(value: dict[str, Any], kind: type[T], noun: str, *, strict: bool) -> T:
    for name in value:
        if not _is_unicode(name):  # msgspec cannot quote it
            raise InvalidRequestError(f"request contains unknown {noun} {name[:60]!a}")
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(_readable(str(error), noun)) from None


def _readable(message: str, noun: str) -> str:
    """msgspec's message with the field in front: `student_ids[0]: expected str, got int`."""
    text, _, path = message.replace("`", "").partition(" - at ")
    field = path.removeprefix("$.").removeprefix("$")
    text = text.replace("Object ", "request ", 1).replace(" field ", f" {noun} ", 1)
    text = text[0].lower() + text[1:]
    return (f"{field}: {text}" if field else text)[:_MAX_DETAIL]


def _parse_json(body: bytes) -> Any:
    """JSON in UTF-8, without duplicate keys and not nested without end."""
    try:
        text = body.decode()
        value = json.loads(text, object_pairs_hook=_unique)
    except UnicodeDecodeError:
        raise InvalidRequestError("request body: not UTF-8") from None
    except json.JSONDecodeError as error:
        raise InvalidRequestError(
            f"request body: not JSON: {error.msg} at line {error.lineno} column {error.colno}"
        ) from None
    except (RecursionError, ValueError):  # the latter for an integer of thousands of digits
        raise InvalidRequestError("request body: nested too deeply, or a number too long") from None
    if text.count("{") + text.count("[") > _MAX_DEPTH and _deeper(value, _MAX_DEPTH):
        raise InvalidRequestError(f"request body: nested more than {_MAX_DEPTH} deep")
    return value


def _is_unicode(text: str) -> bool:
    """False for a lone surrogate, which has no UTF-8."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InvalidRequestError(f"{ascii(twice[:60])[1:-1]}: appears twice in the request body")
    return value


def _deeper(value: Any, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_deeper(one, depth - 1) for one in inner)
