"""Every row of the error table: class, code, status, message, and the problem that a caller gets."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared import environment, errors
from shared.sessions import SessionManager
from tests.conftest import (
    NOBODYS_ID,
    Answer,
    Classroom,
    Context,
    call,
    event,
    golden,
    invoke,
    message_body,
    open_classroom,
    session_body,
)

ALL_FUNCTIONS = ("create", "list", "get", "end", "validate", "store", "history", "health")


@dataclass(frozen=True)
class Row:
    """A row of the error table; `exact` when the message is all of the detail."""

    error: str
    code: str
    status: int
    message: str
    provoke: Callable[[], Answer]
    exact: bool = False


def create(**changes: object) -> Answer:
    """Create a session with these changes."""
    return call("create", body=session_body(**changes))


def store(type_: str = "instructor_broadcast", **changes: object) -> Answer:
    """Store a message with these changes in a new session."""
    return open_classroom().store(type_, **changes)


def store_endless_number() -> Answer:
    """Store a message whose content holds a number that no float can hold."""
    body = json.dumps(message_body(content={"n": 0})).replace('"n": 0', '"n": 1e400')
    return call("store", open_classroom().id, body=body)


def validate_stranger() -> Answer:
    """Ask whether a student who is not listed may join."""
    return open_classroom().ask("validate", user_id="stranger", role="student")


def end_twice() -> Answer:
    """End a session that has ended."""
    room = open_classroom()
    room.ask("end")
    return room.ask("end")


def store_after_the_end() -> Answer:
    """Store a message in a session that has ended."""
    room = open_classroom()
    room.ask("end")
    return room.store()


def reuse_key() -> Answer:
    """Create two different sessions under one key."""
    for name in ("Algebra", "Analysis"):
        answer = call("create", body=session_body(name=name), headers={"idempotency-key": "key"})
    return answer


TABLE = [
    Row(
        "InvalidSessionNameError",
        "invalid_session_name",
        400,
        "session name must be 1-200 characters",
        lambda: create(name=""),
        exact=True,
    ),
    Row(
        "InvalidCreatedByError",
        "invalid_created_by",
        400,
        "created_by must be valid user ID",
        lambda: create(instructor_id=""),
        exact=True,
    ),
    Row(
        "EmptyStudentListError",
        "empty_student_list",
        400,
        "student list cannot be empty",
        lambda: create(student_ids=[]),
        exact=True,
    ),
    Row(
        "InvalidStudentIDError",
        "invalid_student_id",
        400,
        "invalid student ID format",
        lambda: create(student_ids=["an n"]),
    ),
    Row(
        "InvalidRoleError",
        "invalid_role",
        400,
        "invalid role: must be 'student' or 'instructor'",
        lambda: store(role="teacher"),
        exact=True,
    ),
    Row("InvalidUserIDError", "invalid_user_id", 400, "", lambda: store(from_user="an n")),
    Row("InvalidMessageTypeError", "invalid_message_type", 400, "", lambda: store(type="shout")),
    Row("InvalidContextError", "invalid_context", 400, "", lambda: store(context="a b")),
    Row("InvalidContentError", "invalid_content", 400, "", store_endless_number),
    Row("InvalidRecipientError", "invalid_recipient", 400, "", lambda: store("request", to_user="cid")),
    Row("ContentTooLargeError", "content_too_large", 413, "", lambda: store(content={"text": "x" * 65_536})),
    Row("InvalidRequestError", "invalid_request", 400, "", lambda: call("create", body="{")),
    Row(
        "UnauthorizedError",
        "unauthorized",
        403,
        "user not authorized for this session",
        validate_stranger,
        exact=True,
    ),
    Row(
        "SessionNotFoundError",
        "session_not_found",
        404,
        "session not found",
        lambda: call("get", NOBODYS_ID),
        exact=True,
    ),
    Row("SessionAlreadyEndedError", "session_already_ended", 409, "session is already ended", end_twice),
    Row("SessionEndedError", "session_ended", 410, "session has ended", store_after_the_end, exact=True),
    Row("IdempotencyKeyReusedError", "idempotency_key_reused", 422, "", reuse_key),
    Row(
        "InvalidIdempotencyKeyError",
        "invalid_idempotency_key",
        400,
        "",
        lambda: call("create", headers={"idempotency-key": ""}),
    ),
]
every_row = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.code)


@every_row
def test_the_class_has_its_code(row: Row) -> None:
    assert getattr(errors, row.error).code == row.code


@every_row
def test_the_class_is_of_the_family(row: Row) -> None:
    assert issubclass(getattr(errors, row.error), errors.SwitchboardError)


@every_row
def test_the_problem_has_its_status_and_code(row: Row) -> None:
    assert row.provoke().refusal == (row.status, row.code)


@every_row
def test_the_detail_is_the_message_word_for_word(row: Row) -> None:
    detail = row.provoke().detail
    assert (detail == row.message) if row.exact else (detail and detail.startswith(row.message))


@every_row
def test_the_problem_is_problem_json(row: Row) -> None:
    assert row.provoke().headers["content-type"] == "application/problem+json"


@every_row
def test_the_problem_has_its_members(row: Row) -> None:
    problem = row.provoke().body
    members = {key: type(problem[key]) for key in ("type", "title", "status", "detail", "code", "request_id")}
    assert members == {
        "type": str,
        "title": str,
        "status": int,
        "detail": str,
        "code": str,
        "request_id": str,
    }


@every_row
def test_the_problem_repeats_its_status(row: Row) -> None:
    assert row.provoke().body["status"] == row.status


@every_row
def test_the_problem_says_nothing_of_the_inside(row: Row, tmp_path: Path) -> None:
    text = row.provoke().text
    assert not [word for word in (str(tmp_path), "Traceback", ".py", "SELECT", "sqlite") if word in text]


@every_row
def test_trying_again_does_not_help(row: Row) -> None:
    assert "retry-after" not in row.provoke().headers


def test_codes_are_not_shared() -> None:
    assert len({row.code for row in TABLE}) == len(TABLE)


def test_what_is_wrong_with_a_session_has_a_common_base() -> None:
    bases = [set(getattr(errors, row.error).__mro__) for row in TABLE[:4]]
    assert set.intersection(*bases) - set(errors.InvalidRoleError.__mro__)


# The request id


@pytest.mark.parametrize("name", ALL_FUNCTIONS)
def test_the_request_id_is_lambdas(name: str) -> None:
    made = event(name, query={"unknown": 1})
    assert invoke(name, made, Context(aws_request_id="lambda-1")).body["request_id"] == "lambda-1"


@pytest.mark.parametrize("name", ALL_FUNCTIONS)
def test_without_a_context_the_request_id_is_the_gateways(name: str) -> None:
    made = event(name, query={"unknown": 1})
    assert invoke(name, made, None).body["request_id"] == golden(name)["requestContext"]["requestId"]


# What nobody foresaw

SECRET = "/var/task/shared/secret.py SELECT * FROM sessions"


def break_get(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Make the rule behind `get` fail."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(SessionManager, "get_session", fail)


@pytest.mark.parametrize("error", [RuntimeError(SECRET), KeyError(SECRET), RecursionError(SECRET), MemoryError(SECRET)])
def test_an_unforeseen_error_is_an_internal_error(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    break_get(monkeypatch, error)
    assert call("get", NOBODYS_ID).refusal == (500, "internal_error")


def test_an_internal_error_is_problem_json(monkeypatch: pytest.MonkeyPatch) -> None:
    break_get(monkeypatch, RuntimeError(SECRET))
    assert call("get", NOBODYS_ID).headers["content-type"] == "application/problem+json"


def test_an_internal_error_says_nothing_of_the_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    break_get(monkeypatch, RuntimeError(SECRET))
    text = call("get", NOBODYS_ID).text
    assert not [word for word in (*SECRET.split(), "RuntimeError", "Traceback") if word in text]


def test_an_internal_error_is_logged_with_its_traceback_under_the_request_id(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    break_get(monkeypatch, RuntimeError(SECRET))
    invoke("get", event("get"), Context(aws_request_id="lambda-1"))
    logged = [record for record in caplog.records if record.exc_info and record.levelno >= logging.ERROR]
    assert ["lambda-1" in record.getMessage() for record in logged] == [True]


# The database


def family(base: type[errors.DatabaseError]) -> list[type[errors.DatabaseError]]:
    """Return a class and all that derive from it."""
    return [base, *(kind for derived in base.__subclasses__() for kind in family(derived))]


DATABASE_ERRORS = family(errors.DatabaseError)
every_database_error = pytest.mark.parametrize("kind", DATABASE_ERRORS, ids=lambda kind: kind.__name__)


@every_database_error
def test_a_database_error_is_a_503_under_its_code(
    monkeypatch: pytest.MonkeyPatch, kind: type[errors.DatabaseError]
) -> None:
    break_get(monkeypatch, kind())
    assert call("get", NOBODYS_ID).refusal == (503, kind.code)


@every_database_error
def test_the_code_of_a_database_error_says_so(kind: type[errors.DatabaseError]) -> None:
    assert kind.code.startswith("database_")


@pytest.mark.parametrize("code", ["busy", "full", "corrupt", "read_only", "closed", "timeout"])
def test_each_failure_of_the_database_has_one_class(code: str) -> None:
    assert [kind.code for kind in DATABASE_ERRORS].count(f"database_{code}") == 1


HOLD_THE_WRITE_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def held(database: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Classroom]:
    """Open a classroom, then let a foreign program hold the database's write lock; waits are short."""
    room = open_classroom()
    monkeypatch.setenv("SWITCHBOARD_BUSY_TIMEOUT_MS", "10")
    monkeypatch.setenv("SWITCHBOARD_RETRY_DELAY_SECONDS", "0.01")
    environment.reset()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_WRITE_LOCK, str(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield room
        holder.kill()


@pytest.mark.parametrize("name", ["create", "end", "store"])
def test_a_write_that_meets_a_foreign_lock_finds_the_database_busy(held: Classroom, name: str) -> None:
    assert call(name, held.id).refusal == (503, "database_busy")


def test_trying_again_helps_when_the_database_is_busy(held: Classroom) -> None:
    assert int(held.store().headers["retry-after"]) >= 0


def test_reads_go_on_when_the_database_is_busy(held: Classroom) -> None:
    assert held.ask("get").body["session"] == held.session


def test_a_busy_database_is_unchanged(held: Classroom) -> None:
    refused = held.ask("end").status
    assert (refused, held.ask("get").body["session"]) == (503, held.session)


PATHS = [
    ("create", None),
    ("list", None),
    ("get", NOBODYS_ID),
    ("end", NOBODYS_ID),
    ("store", NOBODYS_ID),
    ("history", NOBODYS_ID),
]


@pytest.mark.parametrize(("name", "session_id"), PATHS)
def test_a_file_that_is_no_database_is_corrupt(database: Path, name: str, session_id: str | None) -> None:
    database.write_bytes(b"This is no database. " * 500)
    assert call(name, session_id).refusal == (503, "database_corrupt")


def test_trying_again_does_not_help_when_the_file_is_no_database(database: Path) -> None:
    database.write_bytes(b"This is no database. " * 500)
    answer = call("create")
    assert (answer.status, "retry-after" in answer.headers) == (503, False)


def test_a_file_that_is_no_database_is_left_as_it_is(database: Path) -> None:
    content = b"This is no database. " * 500
    database.write_bytes(content)
    assert (call("create").status, database.read_bytes()) == (503, content)


def nowhere(tmp_path: Path) -> Path:
    """Name a file in a folder that is not there."""
    return tmp_path / "nowhere" / "classroom.db"


def folder(tmp_path: Path) -> Path:
    """Name a folder."""
    return tmp_path


@pytest.mark.parametrize("place", [nowhere, folder])
@pytest.mark.parametrize(("name", "session_id"), PATHS)
def test_a_database_that_cannot_be_opened_is_a_database_error(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    session_id: str | None,
    place: Callable[[Path], Path],
) -> None:
    monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", f"sqlite:///{place(tmp_path)}")
    answer = call(name, session_id)
    assert (answer.status, str(answer.body["code"]).startswith("database_")) == (503, True)


def test_the_problem_names_no_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", f"sqlite:///{nowhere(tmp_path)}")
    answer = call("create")
    assert (answer.status, "nowhere" in answer.text) == (503, False)


def test_a_missing_table_is_a_database_error(database: Path, classroom: Classroom) -> None:
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('DROP TABLE messages'); c.close()"
    subprocess.run([sys.executable, "-c", script, str(database)], check=True)
    answer = classroom.store()
    assert (answer.status, str(answer.body["code"]).startswith("database_")) == (503, True)


def test_a_missing_folder_is_named_in_the_log_without_a_traceback(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, database: Path
) -> None:
    monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", f"sqlite:///{database.parent}/missing/classroom.db")
    assert call("list").refusal == (503, "database_unavailable")
    assert [bool(record.exc_info) for record in caplog.records].count(True) == 0
    assert caplog.text.count("missing/classroom.db") == 1
