"""Settings and servers that do not work: what callers, monitors and the log get to see, and what they must not."""

import time
from collections.abc import Iterator

import psycopg
import pytest

from shared import environment
from shared.engines.postgresql.errors import refused
from tests.conftest import call, open_classroom
from tests.faults.observing import serves
from tests.postgres.server import PASSWORD, Server, address, free_port

SETTING = "SWITCHBOARD_DATABASE_URL"
WRONG = "s3cr3t-of-somebody"
SECRETS = (WRONG, PASSWORD, "chalk%20and")
QUICK = 10.0  # seconds that the manifest gives the health function


@pytest.fixture
def _default_times(short_times: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The times of who sets none."""
    for name in ("BUSY_TIMEOUT_MS", "RETRY_DELAY_SECONDS", "WRITE_TIMEOUT_SECONDS"):
        monkeypatch.delenv(f"SWITCHBOARD_{name}")


@pytest.fixture(scope="module")
def standby(server: Server) -> Iterator[Server]:
    """A replica, which is no place to write to."""
    with Server(standby_of=server) as standby:
        yield standby


@pytest.fixture
def administrator(server: Server, served: str) -> Iterator[psycopg.Connection]:
    """Somebody who may do anything in the test's database."""
    with server.connect(served) as connection:
        yield connection


@pytest.fixture
def nobody_much(server: Server, served: str, administrator: psycopg.Connection) -> Iterator[str]:
    """The address of a user who may do nothing in the test's database."""
    administrator.execute(f"CREATE ROLE nobody_much LOGIN PASSWORD '{WRONG}'")
    yield server.address(served, user="nobody_much", password=WRONG)
    environment.reset()
    administrator.execute("DROP OWNED BY nobody_much")
    administrator.execute("DROP ROLE nobody_much")


def use(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cold container with this setting."""
    monkeypatch.setenv(SETTING, url)
    environment.reset()


def told(caplog: pytest.LogCaptureFixture, *hidden: str) -> tuple[int, str, str]:
    """Status, code and detail of `create`; `health` must have the same. Neither contains a `hidden` text."""
    started = time.monotonic()
    answer = call("create")
    assert time.monotonic() - started < QUICK
    started = time.monotonic()
    health = call("health")
    assert time.monotonic() - started < QUICK
    assert health.status == 503
    assert health.body["database_status"] == answer.detail
    for secret in SECRETS:
        assert secret not in caplog.text
    for secret in (*SECRETS, *hidden, "127.0.0.1", "SELECT", "INSERT", "FATAL", "Traceback"):
        assert secret not in answer.text
        assert secret not in health.text
    return answer.status, str(answer.body["code"]), answer.detail


def test_a_port_where_nobody_listens(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    use(address(port, "classroom", password=WRONG), monkeypatch)
    reason = f"database is unavailable: no server of {SETTING} can be reached"
    assert told(caplog, str(port)) == (503, "database_unavailable", reason)


def test_a_host_that_is_not_known(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    use(f"postgresql://somebody:{WRONG}@no-such-host.invalid/classroom", monkeypatch)
    reason = f"database is unavailable: no server of {SETTING} can be reached"
    assert told(caplog, "no-such-host") == (503, "database_unavailable", reason)


@pytest.mark.usefixtures("_default_times")
def test_a_host_that_never_answers(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets to it get lost, as behind a wrong security group; two of them still fit the health function's time."""
    use(f"postgresql://somebody:{WRONG}@192.0.2.1,192.0.2.2/classroom", monkeypatch)
    started = time.monotonic()
    answer = call("health")
    assert time.monotonic() - started < QUICK
    assert answer.body["database_status"] == f"database is unavailable: no server of {SETTING} can be reached"
    assert WRONG not in caplog.text


def test_a_wrong_password(
    server: Server, served: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(server.address(served, password=WRONG), monkeypatch)
    reason = f"database is unavailable: the server refuses the user or the password in {SETTING}"
    before = server.log().count("password authentication failed")
    assert told(caplog, served) == (503, "database_unavailable", reason)
    calls = 2  # none is tried again: accounts are locked for less
    assert server.log().count("password authentication failed") == before + calls


def test_no_password(
    server: Server, served: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(server.address(served).replace(":chalk%20and%20cheese%2F100%25", ""), monkeypatch)
    reason = f"database is unavailable: the server wants a password in {SETTING}"
    assert told(caplog, served) == (503, "database_unavailable", reason)


def test_an_unknown_user(
    server: Server, served: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(server.url(served).replace("switchboard@", "stranger@"), monkeypatch)
    reason = f"database is unavailable: the server does not know the user in {SETTING}"
    assert told(caplog, "stranger") == (503, "database_unavailable", reason)


def test_an_unknown_database(server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    use(server.address("no_such_classroom"), monkeypatch)
    reason = f"database is unavailable: the server does not have the database in {SETTING}"
    assert told(caplog, "no_such_classroom") == (503, "database_unavailable", reason)


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://somebody:{WRONG}@localhost/classroom",
        f"postgresql:/somebody:{WRONG}@localhost/classroom",
        f"postgresql+psycopg://somebody:{WRONG}@localhost/classroom",
        f"postgresql://somebody:{WRONG}@[::1/classroom",
        f"postgresql://somebody:{WRONG}%zz@localhost/classroom",
        f"postgresql://somebody:{WRONG}@localhost/classroom?no_such_parameter={WRONG}",
        f"postgresql://somebody:{WRONG}@localhost/classroom?connect_timeout={WRONG}",
    ],
)
def test_a_setting_that_is_no_address(
    url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(url, monkeypatch)
    status, code, detail = told(caplog, "somebody", "localhost")
    assert (status, code) == (500, "internal_error")
    assert SETTING in detail


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://somebody:{WRONG}@localhost:port/classroom",
        f"postgresql://somebody:{WRONG}@localhost:99999/classroom",
        f"postgresql://somebody:{WRONG}@one,two/classroom?port=1,2,3",
        f"postgresql://somebody:{WRONG}@localhost/classroom?sslmode=nonsense",
        f"postgresql://somebody:{WRONG}@localhost/classroom?target_session_attrs=nonsense",
    ],
)
def test_an_address_that_only_a_connection_shows_to_be_none(
    url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(url, monkeypatch)
    reason = f"database is unavailable: {SETTING} holds a value that cannot be used"
    assert told(caplog, "somebody", "localhost") == (503, "database_unavailable", reason)


def test_a_replica(
    server: Server,
    standby: Server,
    served: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor to read: it would answer from the past."""
    room = open_classroom()
    with server.connect(served) as administrator:
        (position,) = administrator.execute("SELECT pg_current_wal_lsn()").fetchall()[0]
    with standby.connect() as replica:
        while not replica.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (position,)).fetchall()[0][0]:
            time.sleep(0.01)
    use(standby.url(served), monkeypatch)
    reason = f"{SETTING} names a read-only server: nothing was written"
    assert told(caplog, served) == (503, "database_read_only", reason)
    assert room.ask("get").refusal == (503, "database_read_only")


@pytest.mark.parametrize(
    "words",
    [
        "the database system is starting up",
        "the database system is shutting down",
        "the database system is in recovery mode",
        "the database system is not yet accepting connections",
        "terminating connection due to administrator command",
    ],
)
def test_a_server_that_comes_up_or_goes_down_is_asked_again(words: str) -> None:
    failure = refused(psycopg.OperationalError(f"connection failed: FATAL:  {words}"))
    assert (failure.code, failure.transient) == ("database_unavailable", True)


@pytest.mark.parametrize("last", ["FATAL:  the database system is starting up", "Connection refused"])
def test_a_replica_beside_a_server_that_is_down_is_about_to_take_over(last: str) -> None:
    text = f"{last}\nMultiple connection attempts failed. All failures were:\n- host: 'a': session is read-only\n"
    failure = refused(psycopg.OperationalError(f"{text}- host: 'b': {last}"))
    assert (failure.code, failure.transient) == ("database_unavailable", True)


@pytest.mark.usefixtures("_default_times")
def test_a_user_who_may_not_make_tables(
    nobody_much: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(nobody_much, monkeypatch)
    status, code, detail = told(caplog, "nobody_much")
    assert (status, code) == (503, "database_schema")
    assert "python -m shared.migrate up" in detail
    assert SETTING in detail


def test_a_user_who_may_not_write(
    server: Server,
    served: str,
    nobody_much: str,
    administrator: psycopg.Connection,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = open_classroom()
    administrator.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO nobody_much")
    use(nobody_much, monkeypatch)
    reason = f"the user in {SETTING} may not write: nothing was written"
    assert told(caplog, "nobody_much") == (503, "database_read_only", reason)
    assert room.ask("get").status == 200
    use(server.url(served), monkeypatch)
    serves(room, [])


def test_a_user_who_may_not_even_read(
    nobody_much: str,
    administrator: psycopg.Connection,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_classroom()
    use(nobody_much, monkeypatch)
    status, _, detail = told(caplog, "nobody_much")
    assert status == 503
    assert SETTING in detail


def test_tables_that_are_dropped_under_a_warm_container(
    administrator: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    room = open_classroom()
    serves(room, [])
    tables = "sessions, session_heads, messages, enrollments, session_counts, idempotency_keys"
    administrator.execute(f"DROP TABLE {tables}")
    assert call("create").refusal == (503, "database_schema")
    assert room.store().refusal == (503, "database_schema")
    assert room.ask("get").refusal == (503, "database_schema")
    assert call("health").status == 503
    administrator.execute("DROP TABLE schema_migration")
    environment.reset()
    serves(open_classroom(), [])


def test_a_database_of_a_newer_version(administrator: psycopg.Connection, caplog: pytest.LogCaptureFixture) -> None:
    room = open_classroom()
    administrator.execute("INSERT INTO schema_migration (name, applied) VALUES ('9999_from_the_future', now())")
    environment.reset()
    reason = "database schema is newer than this version of the service: 9999_from_the_future"
    assert told(caplog) == (503, "database_schema", reason)
    administrator.execute("DELETE FROM schema_migration WHERE name LIKE '9999%'")
    serves(room, [])


def test_a_database_that_is_somebody_elses(administrator: psycopg.Connection, caplog: pytest.LogCaptureFixture) -> None:
    """It has a table of one of our names."""
    administrator.execute("CREATE TABLE sessions (id integer)")
    environment.reset()
    status, code, _ = told(caplog)
    assert (status, code) == (503, "database_schema")
    assert administrator.execute("SELECT count(*) FROM sessions").fetchall() == [(0,)]


def test_a_server_without_a_connection_left(
    served: str,
    nobody_much: str,
    administrator: psycopg.Connection,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = open_classroom()
    administrator.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO nobody_much")
    administrator.execute(f"ALTER DATABASE {served} CONNECTION LIMIT 0")
    use(nobody_much, monkeypatch)
    reason = "database has no connection left: nothing was written, try again"
    assert told(caplog, "nobody_much") == (503, "database_busy", reason)
    administrator.execute(f"ALTER DATABASE {served} CONNECTION LIMIT -1")
    serves(room, [])
