"""Fixtures and helpers of all tests: a database and a cold start for each test, golden events, a frozen clock."""

import base64
import importlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import urlencode

import freezegun
import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory, TickingDateTimeFactory

from shared import environment
from tests.storage import KINDS, POSTGRESQL, SQLITE, PostgresDatabases, Storage, sqlite_file

freezegun.configure(extend_ignore_list=["_pytest.timing", "pytest_timeout"])  # the durations of tests stay real

T = TypeVar("T")
Json = dict[str, Any]
"""A JSON object."""

EVENTS = Path(__file__).parent / "events"
GOLDEN_BODY = object()
"""The default of `body`: use the body of the golden event."""

RESPONSE_LIMIT = 6_291_556
"""The largest answer of a function that Lambda accepts, in bytes."""

NOBODYS_ID = "00000000-0000-4000-8000-000000000000"
"""A valid session id that no session has."""

BY_STUDENTS = ("instructor_inbox", "request_response", "analytics")
BY_INSTRUCTORS = ("inbox_response", "request", "instructor_broadcast")
TO_ONE_STUDENT = ("inbox_response", "request")
MESSAGE_TYPES = BY_STUDENTS + BY_INSTRUCTORS


@dataclass(frozen=True)
class Context:
    """The part of Lambda's context object that handlers may read."""

    aws_request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    function_name: str = "switchboard-sessions-dev"
    function_version: str = "$LATEST"
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:switchboard-sessions-dev"
    memory_limit_in_mb: str = "256"
    log_group_name: str = "/aws/lambda/switchboard-sessions-dev"
    log_stream_name: str = "2026/11/22/[$LATEST]d3adb33f"

    def get_remaining_time_in_millis(self) -> int:
        """A fixed time that is left."""
        return 29_000


@dataclass(frozen=True)
class Answer:
    """The answer of a handler. Header names are in lower case; `size` is in bytes, as Lambda sends it."""

    status: int
    headers: Mapping[str, str]
    text: str
    size: int

    @property
    def body(self) -> Json:
        """The decoded body."""
        return cast(Json, json.loads(self.text))

    @property
    def refusal(self) -> tuple[int, object]:
        """Status and error code; the code of a success is None."""
        return self.status, self.body.get("code")

    @property
    def detail(self) -> str:
        """The text of a problem for its reader; empty for a success."""
        return str(self.body.get("detail", ""))


def golden(name: str) -> Json:
    """Return the event that the gateway sends for a plain call of this function."""
    return cast(Json, json.loads(_golden_text(name)))


@cache
def _golden_text(name: str) -> str:
    return (EVENTS / f"{name}.json").read_text("utf-8")


def event(
    name: str,
    session_id: str | None = None,
    *,
    query: Mapping[str, object] | None = None,
    body: object = GOLDEN_BODY,
    headers: Mapping[str, str] | None = None,
) -> Json:
    """Build an event from the golden one. A `str` body is sent as it is, `bytes` in base64, None not at all."""
    made = golden(name)
    made["headers"] |= headers or {}
    if session_id is not None:
        made["pathParameters"] = {"session_id": session_id}
        path = made["routeKey"].partition(" ")[2].replace("{session_id}", session_id)
        made["rawPath"] = made["requestContext"]["http"]["path"] = path
    made.pop("queryStringParameters", None)
    made["rawQueryString"] = urlencode(query or {}, errors="replace")
    if query:
        made["queryStringParameters"] = {key: str(value) for key, value in query.items()}
    if body is not GOLDEN_BODY:
        made.pop("body", None)
        made |= _body_of(body)
    return made


def _body_of(body: object) -> Json:
    if body is None:
        return {}
    if isinstance(body, bytes):
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    return {"body": body if isinstance(body, str) else json.dumps(body)}


def invoke(name: str, event: Json, context: Context | None = Context()) -> Answer:
    """Call the handler of a function with an event, as Lambda does."""
    returned = importlib.import_module(f"functions.{name}").handler(event, context)
    return Answer(
        status=returned["statusCode"],
        headers={key.lower(): value for key, value in returned["headers"].items()},
        text=returned["body"],
        size=len(json.dumps(returned)),
    )


def call(
    name: str,
    session_id: str | None = None,
    *,
    query: Mapping[str, object] | None = None,
    body: object = GOLDEN_BODY,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Call a function by name with an event built by `event`."""
    return invoke(name, event(name, session_id, query=query, body=body, headers=headers))


def crawl(name: str, session_id: str | None = None, /, **query: object) -> Iterator[Answer]:
    """Yield the answer for each page, until there is no next one. The test may write between two pages."""
    cursor: Json = {}
    while True:
        answer = call(name, session_id, query=query | cursor)
        yield answer
        cursor = {"cursor": answer.body["next_cursor"]}
        if cursor["cursor"] is None:
            return


def pages(name: str, session_id: str | None = None, /, **query: object) -> Iterator[Json]:
    """Yield the body of each page."""
    return (answer.body for answer in crawl(name, session_id, **query))


def session_body(**changes: object) -> Json:
    """Return a valid body of `create` with these changes."""
    return cast(Json, json.loads(golden("create")["body"])) | changes


def message_body(type_: str = "instructor_broadcast", **changes: object) -> Json:
    """Return a valid body of `store` with these changes. The sender is ann or ms_noether, a recipient is ann."""
    body: Json = {"type": type_, "role": "student", "from_user": "ann", "content": {"text": "Good morning"}}
    if type_ in BY_INSTRUCTORS:
        body |= {"role": "instructor", "from_user": "ms_noether"}
    if type_ in TO_ONE_STUDENT:
        body["to_user"] = "ann"
    return body | changes


@dataclass(frozen=True)
class Classroom:
    """A session in the database, with the calls that people make in it."""

    session: Json = field(repr=False)

    @property
    def id(self) -> str:
        """The session's id."""
        return cast(str, self.session["id"])

    def ask(self, name: str, **query: object) -> Answer:
        """Call a function on this session."""
        return call(name, self.id, query=query)

    def store(self, type_: str = "instructor_broadcast", **changes: object) -> Answer:
        """Try to store a message, by default a valid one."""
        return call("store", self.id, body=message_body(type_, **changes))

    def say(self, text: str, type_: str = "instructor_broadcast", **changes: object) -> Json:
        """Store a message, and fail unless it is accepted."""
        answer = self.store(type_, content={"text": text}, **changes)
        assert answer.status == 201, answer.text
        return cast(Json, answer.body["message"])

    def history(self, **query: object) -> list[Json]:
        """Read the messages of all pages."""
        return [message for page in pages("history", self.id, **query) for message in page["messages"]]

    def texts(self, **query: object) -> list[str]:
        """Read the texts of all messages."""
        return [message["content"]["text"] for message in self.history(**query)]


def counted(session: Json, connections: int = 0) -> Json:
    """A session as `list` has it."""
    return session | {"connection_count": connections}


def open_classroom(**changes: object) -> Classroom:
    """Create a session; by default of ms_noether with ann and bob."""
    answer = call("create", body=session_body(**changes))
    assert answer.status == 201, answer.text
    return Classroom(answer.body["session"])


def at_once(times: int, work: Callable[[int], T]) -> list[T]:
    """Run `work(0)`, `work(1)`… in threads that start at the same moment. Return the results in this order."""
    barrier = threading.Barrier(times)

    def run(number: int) -> T:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(run, range(times)))


@pytest.fixture(scope="session")
def postgres_databases() -> Iterator[PostgresDatabases]:
    """Databases on a server that starts when the first test needs it and ends after the last test."""
    databases = PostgresDatabases()
    if not databases.available:
        pytest.skip("PostgreSQL is not installed: `make test` installs it")
    yield databases
    databases.close()


@pytest.fixture(autouse=True)
def storage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """Give each test its own database and default settings, and reset the environment before and after it."""
    with ExitStack() as stack:
        if getattr(request, "param", SQLITE) == SQLITE:
            storage = sqlite_file(tmp_path / "classroom.db")
        else:
            storage = stack.enter_context(request.getfixturevalue("postgres_databases").database())
        for name in [name for name in os.environ if name.startswith("SWITCHBOARD_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("SWITCHBOARD_DATABASE_URL", storage.url)
        environment.reset()
        yield storage
        environment.reset()


@pytest.fixture
def database(storage: Storage) -> Path:
    """The path of the test's database file. A test with this fixture runs only on SQLite."""
    assert storage.kind == SQLITE
    return Path(storage.url.removeprefix("sqlite:///"))


@pytest.fixture
def empty(storage: Storage, request: pytest.FixtureRequest) -> Iterator[Storage]:
    """A database without any table, on either engine."""
    if storage.kind == SQLITE:
        yield storage
    else:
        with request.getfixturevalue("postgres_databases").unmigrated() as unmigrated:
            yield unmigrated


@pytest.fixture
def postgres(storage: Storage) -> Storage:
    """The test's database on the server. A test with this fixture runs only on PostgreSQL."""
    assert storage.kind == POSTGRESQL
    return storage


def pytest_configure() -> None:
    """Take SIGINT even where the caller had it ignored, as a shell's `&` does: the tests' processes inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run conformance tests on both engines, unless a fixture selects one: `database` SQLite, `postgres` PostgreSQL."""
    asked = metafunc.fixturenames
    folder = metafunc.definition.path.parent.name
    if "postgres" in asked:
        metafunc.parametrize("storage", [POSTGRESQL], indirect=True)
    elif "database" not in asked and (
        folder in ("api", "admin", "live") or "empty" in asked or (folder == "unit" and "settings" in asked)
    ):
        metafunc.parametrize("storage", KINDS, indirect=True)


class Freeze(Protocol):
    """Freezes the clock until the test ends."""

    def __call__(
        self, instant: str, *, tick: bool = False, real_asyncio: bool = False
    ) -> FrozenDateTimeFactory | TickingDateTimeFactory:
        """Set the time to `instant`, in UTC. With `tick` it goes on from there. An event loop needs `real_asyncio`."""


@pytest.fixture
def freeze() -> Iterator[Freeze]:
    """Freeze the clock: `clock = freeze("2026-11-22 07:24:11")`, then `clock.tick(60)`, `clock.move_to(…)`."""
    with ExitStack() as stack:

        def start(
            instant: str, *, tick: bool = False, real_asyncio: bool = False
        ) -> FrozenDateTimeFactory | TickingDateTimeFactory:
            return cast(
                FrozenDateTimeFactory | TickingDateTimeFactory,
                stack.enter_context(freeze_time(instant, tick=tick, real_asyncio=real_asyncio)),
            )

        yield start


@pytest.fixture
def classroom() -> Classroom:
    """A session of ms_noether with ann and bob."""
    return open_classroom()
