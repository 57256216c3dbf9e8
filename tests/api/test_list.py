"""`list`: filters, order, pages and the count."""

import pytest

from shared import environment, paging
from shared.engines.sqlite.engine import SqliteEngine
from tests.conftest import (
    NOBODYS_ID,
    RESPONSE_LIMIT,
    Classroom,
    Freeze,
    Json,
    call,
    counted,
    crawl,
    open_classroom,
    pages,
)

START_TIME = "2026-11-22T07:24:11.000000Z"


def ids(**query: object) -> list[str]:
    """List the ids of one page."""
    answer = call("list", query=query)
    assert answer.status == 200, answer.text
    return [session["id"] for session in answer.body["sessions"]]


def crawled(**query: object) -> list[str]:
    """List the ids of all pages."""
    return [session["id"] for page in pages("list", **query) for session in page["sessions"]]


def test_an_empty_database_lists_nothing() -> None:
    assert call("list").body == {"sessions": [], "total_count": 0, "next_cursor": None}


def test_a_session_is_listed_as_create_answered(classroom: Classroom) -> None:
    assert call("list").body == {"sessions": [counted(classroom.session)], "total_count": 1, "next_cursor": None}


def test_sessions_are_listed_after_a_cold_start(classroom: Classroom) -> None:
    environment.reset()
    assert ids() == [classroom.id]


@pytest.mark.parametrize(
    ("query", "listed"),
    [
        pytest.param({}, {"active"}, id="active by default"),
        pytest.param({"status": "active"}, {"active"}, id="active"),
        pytest.param({"status": "ended"}, {"ended"}, id="ended"),
        pytest.param({"status": "all"}, {"active", "ended"}, id="all"),
    ],
)
def test_status_filters(query: Json, listed: set[str]) -> None:
    open_classroom()
    open_classroom().ask("end")
    assert {session["status"] for session in call("list", query=query).body["sessions"]} == listed


@pytest.mark.parametrize("status", ["open", "Active", "active ", "active,ended", "*"])
def test_any_other_status_is_refused(status: str) -> None:
    answer = call("list", query={"status": status})
    assert (answer.refusal, "status" in answer.detail) == ((400, "invalid_request"), True)


PEOPLE = {
    "a": {"instructor_id": "noether", "student_ids": ["ann", "bob"]},
    "b": {"instructor_id": "noether", "student_ids": ["bob"]},
    "c": {"instructor_id": "abel", "student_ids": ["ann"]},
    "d": {"instructor_id": "abel", "student_ids": ["Ann", "anna"]},
    "e": {"instructor_id": "Abel", "student_ids": ["a_n", "jo-ann"]},
}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param({"created_by": "noether"}, "ab", id="creator"),
        pytest.param({"created_by": "abel"}, "cd", id="creator in this case only"),
        pytest.param({"created_by": "abe"}, "", id="no part of a creator"),
        pytest.param({"created_by": "ab_l"}, "", id="no pattern for a creator"),
        pytest.param({"created_by": "ann"}, "", id="a student is no creator"),
        pytest.param({"student_id": "bob"}, "ab", id="student"),
        pytest.param({"student_id": "ann"}, "ac", id="student in this case only, no part of one"),
        pytest.param({"student_id": "a_n"}, "e", id="no pattern for a student"),
        pytest.param({"student_id": "noether"}, "", id="a creator is no student"),
        pytest.param({"created_by": "noether", "student_id": "ann"}, "a", id="creator and student"),
        pytest.param({"created_by": "abel", "student_id": "bob"}, "", id="creator without this student"),
    ],
)
def test_people_filter(query: Json, names: str) -> None:
    for name, people in PEOPLE.items():
        open_classroom(name=name, **people)
    assert {session["name"] for session in call("list", query=query).body["sessions"]} == set(names)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"status": "ended", "created_by": "noether"}, "a"),
        ({"status": "ended", "student_id": "ann"}, "ac"),
        ({"status": "active", "student_id": "bob"}, "b"),
        ({"status": "all", "created_by": "noether", "student_id": "bob"}, "ab"),
        ({"status": "ended", "created_by": "noether", "student_id": "bob"}, "a"),
        ({"created_by": "abel", "student_id": "ann"}, ""),
    ],
)
def test_filters_combine(query: Json, names: str) -> None:
    for name, people in PEOPLE.items():
        room = open_classroom(name=name, **people)
        if name in "ac":
            room.ask("end")
    body = call("list", query=query).body
    assert ({session["name"] for session in body["sessions"]}, body["total_count"]) == (
        set(names),
        len(names),
    )


def test_the_newest_start_comes_first(freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00")
    first = open_classroom().id
    clock.tick(1)
    second = open_classroom().id
    clock.move_to("2026-11-22 07:00:00")
    earlier = open_classroom().id
    assert ids() == [second, first, earlier]


def test_a_microsecond_decides_the_order(freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00.000009")
    older = open_classroom().id
    clock.move_to("2026-11-22 08:00:00.000010")
    newer = open_classroom().id
    assert ids() == [newer, older]


@pytest.mark.parametrize("instant", ["2026-11-22 08:00:00", "1969-07-20 20:17:40", "0001-01-01", "9999-12-31 23:59:59"])
def test_of_equal_starts_the_later_creation_comes_first(freeze: Freeze, instant: str) -> None:
    freeze(instant)
    opened = [open_classroom().id for _ in range(10)]
    assert (ids(), ids(student_id="ann")) == (opened[::-1], opened[::-1])


def test_of_equal_starts_the_later_creation_comes_first_when_the_clock_was_elsewhere_between(freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00")
    first = open_classroom().id
    clock.move_to("2026-11-22 09:00:00")
    latest = open_classroom().id
    clock.move_to("2026-11-22 08:00:00")
    second = open_classroom().id
    assert ids() == [latest, second, first]


@pytest.mark.parametrize(("limit", "listed"), [(1, 1), (2, 2), (3, 3), (4, 3), (1000, 3)])
def test_a_page_holds_at_most_limit_sessions(limit: int, listed: int) -> None:
    for _ in range(3):
        open_classroom()
    assert len(ids(limit=limit)) == listed


BAD_LIMITS = [
    "0",
    "-1",
    "1001",
    "99999999999999999999",
    "ten",
    "1.5",
    "0x10",
    "5.0",
    "1e2",
    "+5",
    " 5",
    "1_0",
    "\u0663",
    "1,2",
]


def test_a_limit_may_have_leading_zeros() -> None:
    open_classroom(), open_classroom()
    assert len(ids(limit="001")) == 1


@pytest.mark.parametrize("limit", BAD_LIMITS)
def test_a_limit_beyond_the_rules_is_refused(limit: str) -> None:
    answer = call("list", query={"limit": limit})
    assert (answer.refusal, "limit" in answer.detail) == ((400, "invalid_request"), True)


def test_a_page_holds_100_sessions_by_default() -> None:
    for _ in range(101):
        open_classroom()
    assert [len(page["sessions"]) for page in pages("list")] == [100, 1]


def test_the_count_is_of_all_that_match_and_not_of_the_page() -> None:
    for _ in range(3):
        open_classroom()
    assert [page["total_count"] for page in pages("list", limit=2)] == [3, 3]


def test_the_count_leaves_out_what_does_not_match() -> None:
    open_classroom()
    open_classroom().ask("end")
    assert [call("list", query={"status": status}).body["total_count"] for status in ("active", "all")] == [1, 2]


def test_the_last_page_has_no_next_cursor(classroom: Classroom) -> None:
    assert call("list").body["next_cursor"] is None


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
def test_a_crawl_finds_all_in_the_order_of_one_page(limit: int) -> None:
    for _ in range(7):
        open_classroom()
    assert crawled(limit=limit) == ids()


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_crawl_finds_all_of_equal_start(freeze: Freeze, limit: int) -> None:
    freeze("2026-11-22 08:00:00")
    opened = [open_classroom().id for _ in range(7)]
    assert crawled(limit=limit) == opened[::-1]


def test_a_crawl_keeps_its_filters(classroom: Classroom) -> None:
    mine = {open_classroom(instructor_id="abel").id for _ in range(3)}
    assert set(crawled(created_by="abel", limit=1)) == mine


def test_sessions_that_come_and_go_do_not_disturb_a_crawl(freeze: Freeze) -> None:
    freeze("2026-11-22 08:00:00")
    staying = [open_classroom().id for _ in range(6)]
    leaving = [open_classroom(name="leaving") for _ in range(6)]
    seen: list[str] = []
    for page in pages("list", limit=2):
        seen += [session["id"] for session in page["sessions"]]
        if leaving:
            leaving.pop().ask("end")
            open_classroom(name="coming")
    assert [session_id for session_id in seen if session_id in staying] == staying[::-1]


def test_a_crawl_repeats_no_session(freeze: Freeze) -> None:
    clock = freeze("2026-11-22 08:00:00")
    for _ in range(5):
        open_classroom()
    seen: list[str] = []
    for page in pages("list", limit=2):
        seen += [session["id"] for session in page["sessions"]]
        clock.tick(1)
        open_classroom()
    assert (len(seen), len(set(seen))) == (5, 5)


MANY = [f"student-{number:042}" for number in range(10_000)]


@pytest.fixture
def many_students(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a session have as many students as any setting allows."""
    monkeypatch.setenv("SWITCHBOARD_MAX_STUDENTS", str(len(MANY)))


@pytest.mark.usefixtures("many_students")
def test_every_page_fits_lambdas_response() -> None:
    opened = [open_classroom(student_ids=MANY).id for _ in range(12)]
    answers = list(crawl("list"))
    listed = [session["id"] for answer in answers for session in answer.body["sessions"]]
    assert (listed, max(answer.size for answer in answers) <= RESPONSE_LIMIT) == (opened[::-1], True)


@pytest.mark.usefixtures("many_students", "database")
def test_a_list_stops_fetching_from_a_file_when_its_page_is_full() -> None:
    for _ in range(14):
        open_classroom(student_ids=MANY)
    engine = environment.current().database._engine
    assert isinstance(engine, SqliteEngine)
    readers, fetched = engine._readers(), []
    connection = readers.take()
    connection.row_trace = lambda _cursor, row: fetched.append(row) or row  # type: ignore[func-returns-value]
    readers.give_back(connection)
    listed, behind, count = len(call("list").body["sessions"]), 1, 1
    assert (listed < 13, len(fetched)) == (True, listed + behind + count)


@pytest.mark.usefixtures("many_students", "postgres")
def test_a_server_sends_no_more_than_a_page_holds() -> None:
    for _ in range(14):
        open_classroom(student_ids=MANY)
    statements, engine = environment.current().database._sql, environment.current().database._engine
    page = statements.list_page(status="active", creator=False, student=False, after=False)
    assert 8 <= len(engine.fetch(page, (1000,))) < 14


@pytest.mark.usefixtures("many_students")
def test_a_cold_start_loads_no_more_rosters_than_fit_a_response() -> None:
    for _ in range(12):
        open_classroom(student_ids=MANY)
    environment.reset()
    assert 8 <= environment.sessions().get_stats()["cache_size"] < 12


@pytest.mark.parametrize(
    "cursor",
    ["x", "!!!", "AAAA", "bnVsbA==", "e30=", "W10=", "\u00e9", "a" * 5000, "' OR 1=1 --", "\0", "1", "null", "%"],
)
def test_a_malformed_cursor_is_refused(classroom: Classroom, cursor: str) -> None:
    answer = call("list", query={"cursor": cursor})
    assert (answer.refusal, "cursor" in answer.detail) == ((400, "invalid_request"), True)


@pytest.mark.parametrize(
    ("start_time", "session_id", "status"),
    [(START_TIME, NOBODYS_ID, 200), (START_TIME, "x", 400), ("x", NOBODYS_ID, 400)],
)
def test_a_cursor_needs_a_time_and_an_id(start_time: str, session_id: str, status: int) -> None:
    cursor = paging.cursor(("sessions", "active", None, None), (start_time, session_id))
    assert call("list", query={"cursor": cursor}).status == status


def test_half_a_cursor_is_refused() -> None:
    open_classroom(), open_classroom()
    cursor = call("list", query={"limit": 1}).body["next_cursor"]
    answer = call("list", query={"limit": 1, "cursor": cursor[: len(cursor) // 2]})
    assert answer.refusal == (400, "invalid_request")


def test_the_cursor_of_a_history_is_refused(classroom: Classroom) -> None:
    classroom.say("one"), classroom.say("two")
    cursor = classroom.ask("history", limit=1).body["next_cursor"]
    assert call("list", query={"cursor": cursor}).refusal == (400, "invalid_request")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"status": "ended"}, id="other status"),
        pytest.param({"created_by": "ms_noether"}, id="other creator"),
        pytest.param({"created_by": None}, id="creator dropped"),
        pytest.param({"student_id": "ann"}, id="student added"),
    ],
)
def test_a_cursor_is_refused_with_other_filters(changes: Json) -> None:
    open_classroom(instructor_id="abel"), open_classroom(instructor_id="abel")
    query: Json = {"status": "all", "created_by": "abel", "limit": 1}
    cursor = call("list", query=query).body["next_cursor"]
    other = {key: value for key, value in (query | changes).items() if value is not None}
    assert call("list", query=other | {"cursor": cursor}).refusal == (400, "invalid_request")


def test_a_misspelt_filter_does_not_pass_for_none(classroom: Classroom) -> None:
    answer = call("list", query={"created-by": "abel"})
    assert (answer.refusal, "created-by" in answer.detail) == ((400, "invalid_request"), True)
