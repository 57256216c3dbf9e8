"""The forms and limits of the contract, each once: what a name, a user id, a role or a message must look like."""

import re

from shared import errors
from shared.entities import (
    ACTIVE,
    ADDRESSED_MESSAGE_TYPES,
    ENDED,
    ERASED,
    INSTRUCTOR,
    INSTRUCTOR_MESSAGE_TYPES,
    STUDENT,
    STUDENT_MESSAGE_TYPES,
    SessionFilter,
)
from shared.identifiers import canonical

MAX_NAME_CHARACTERS = 200
MAX_CONTENT_BYTES = 65_536

_ROLES = (STUDENT, INSTRUCTOR)
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,50}")

# Not printable to Python, and yet part of how names are written: joiners (Persian, emoji), emoji tags and spaces.
_JOINERS = dict.fromkeys((0x200C, 0x200D, *range(0xE0020, 0xE0080)), "")
_SPACES = dict.fromkeys((0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " ")
_WRITTEN = _JOINERS | _SPACES


def is_user_id(text: str) -> bool:
    """1 to 50 of `A-Z a-z 0-9 _ -`, but not the word that replaces erased users."""
    return text != ERASED and _IDENTIFIER.fullmatch(text) is not None


def session_key(session_id: str) -> str:
    """A session id as it is stored. Raises `SessionNotFoundError` for what cannot be one."""
    key = canonical(session_id)
    if key is None:
        raise errors.SessionNotFoundError
    return key


def check_name(name: str) -> None:
    """1 to 200 code points, printable, not blank. Raises `InvalidSessionNameError`."""
    visible = name if name.isprintable() else name.translate(_WRITTEN)
    if not visible.isprintable() or not visible.strip() or len(name) > MAX_NAME_CHARACTERS:
        raise errors.InvalidSessionNameError


def check_created_by(user_id: str) -> None:
    """Raises `InvalidCreatedByError`."""
    if not is_user_id(user_id):
        raise errors.InvalidCreatedByError


def check_students(student_ids: tuple[str, ...], limit: int) -> None:
    """One to `limit` of them, each a user id; without duplicates.

    Raises `EmptyStudentListError`, `InvalidRequestError` for too many, `InvalidStudentIDError`, in this order.
    """
    if not student_ids:
        raise errors.EmptyStudentListError
    if len(student_ids) > limit:
        raise errors.InvalidRequestError(f"student_ids: must be at most {limit} different students")
    for number, student_id in enumerate(student_ids):
        if not is_user_id(student_id):
            shown = ascii(student_id[:60])
            raise errors.InvalidStudentIDError(
                f"{errors.InvalidStudentIDError.message}: student_ids[{number}] is {shown}"
            )


def check_user_id(user_id: str) -> None:
    """Raises `InvalidUserIDError`."""
    if not is_user_id(user_id):
        raise errors.InvalidUserIDError


def check_role(role: str) -> None:
    """Raises `InvalidRoleError`."""
    if role not in _ROLES:
        raise errors.InvalidRoleError


def check_filter(wanted: SessionFilter) -> None:
    """A known status and well-formed user ids. Raises `InvalidRequestError`, `InvalidUserIDError`."""
    if wanted.status not in (ACTIVE, ENDED, None):
        raise errors.InvalidRequestError("status: must be active, ended or all")
    for user_id in (wanted.created_by, wanted.student_id):
        if user_id is not None:
            check_user_id(user_id)


def check_message_type(kind: str) -> None:
    """Raises `InvalidMessageTypeError`."""
    if kind not in STUDENT_MESSAGE_TYPES and kind not in INSTRUCTOR_MESSAGE_TYPES:
        raise errors.InvalidMessageTypeError


def check_context(context: str) -> None:
    """The form of a user id; any word. Raises `InvalidContextError`."""
    if not _IDENTIFIER.fullmatch(context):
        raise errors.InvalidContextError


def check_content(content: bytes) -> None:
    """Compact UTF-8 JSON of an object, at most 65,536 bytes. Raises `InvalidContentError`, `ContentTooLargeError`."""
    if not content:
        raise errors.InvalidContentError(
            "content must be a JSON object without NaN, Infinity, numbers out of range and lone surrogates"
        )
    if not content.startswith(b"{"):
        raise errors.InvalidContentError
    if len(content) > MAX_CONTENT_BYTES:
        raise errors.ContentTooLargeError


def check_recipient_form(kind: str, to_user: str | None) -> None:
    """A recipient where the type has one, and only there. Raises `InvalidRecipientError`."""
    if kind not in ADDRESSED_MESSAGE_TYPES:
        if to_user is not None:
            raise errors.InvalidRecipientError(f"to_user must be absent from a message of type {kind}")
    elif to_user is None:
        raise errors.InvalidRecipientError(f"a message of type {kind} needs a to_user: one of the session's students")
    elif not is_user_id(to_user):
        raise errors.InvalidRecipientError


def check_sender(kind: str, role: str) -> None:
    """Each role has three types of its own. Raises `UnauthorizedError`."""
    own = STUDENT_MESSAGE_TYPES if role == STUDENT else INSTRUCTOR_MESSAGE_TYPES
    if kind not in own:
        raise errors.UnauthorizedError
