"""Concurrency: many threads in one container, several containers on one database file."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import TypeVar

import pytest

from shared import environment
from tests.conftest import Answer, Classroom, Json, at_once, call, counted, message_body, open_classroom, pages

T = TypeVar("T")
CONTAINERS = 4
MEMBER = {"user_id": "ann", "role": "student"}


# One container


def test_sessions_opened_at_once_are_all_there() -> None:
    opened = at_once(50, lambda _: open_classroom().id)
    listed = [session["id"] for session in call("list").body["sessions"]]
    assert sorted(listed) == sorted(set(opened))


def test_the_first_calls_of_a_cold_environment_may_come_at_once(classroom: Classroom) -> None:
    environment.reset()
    answers = at_once(20, lambda _: classroom.ask("validate", **MEMBER))
    assert Counter(answer.status for answer in answers) == {200: 20}


def test_a_new_database_may_be_met_by_many_at_once() -> None:
    assert Counter(at_once(20, lambda _: call("create").status)) == {201: 20}


def test_messages_stored_at_once_are_all_there(classroom: Classroom) -> None:
    at_once(20, lambda writer: [classroom.say(f"{writer}-{number}") for number in range(10)])
    assert Counter(classroom.texts()) == Counter(f"{writer}-{number}" for writer in range(20) for number in range(10))


def test_each_threads_messages_come_in_its_order(classroom: Classroom) -> None:
    at_once(20, lambda writer: [classroom.say(f"{writer:02}-{number}") for number in range(10)])
    by_writer = sorted(classroom.texts(), key=lambda text: text[:2])
    assert by_writer == [f"{writer:02}-{number}" for writer in range(20) for number in range(10)]


def test_of_fifty_ends_at_once_one_wins(classroom: Classroom) -> None:
    answers = at_once(50, lambda _: classroom.ask("end"))
    assert Counter(answer.refusal for answer in answers) == {(200, None): 1, (409, "session_already_ended"): 49}


def test_the_others_report_the_end_time_of_the_one_that_won(classroom: Classroom) -> None:
    answers = at_once(50, lambda _: classroom.ask("end"))
    end_time = classroom.ask("get").body["session"]["end_time"]
    assert [end_time in answer.text for answer in answers] == [True] * 50


def store_until_refused(session_id: str) -> list[Answer]:
    """Store message after message, until there is another answer than 201."""
    answers = [call("store", session_id)]
    while answers[-1].status == 201 and len(answers) < 10_000:
        answers.append(call("store", session_id))
    return answers


def end_amid_writers(room: Classroom) -> list[Answer]:
    """End a session that ten threads write to; return what these were answered."""

    def work(number: int) -> list[Answer]:
        if number:
            return store_until_refused(room.id)
        room.ask("end")
        return []

    return [answer for answered in at_once(11, work) for answer in answered]


def test_what_was_stored_before_the_end_is_in_the_history_and_nothing_else(classroom: Classroom) -> None:
    answers = end_amid_writers(classroom)
    stored = [answer.body["message"]["id"] for answer in answers if answer.status == 201]
    assert sorted(message["id"] for message in classroom.history()) == sorted(stored)


def test_what_came_after_the_end_was_told_so(classroom: Classroom) -> None:
    answers = end_amid_writers(classroom)
    refused = Counter(answer.refusal for answer in answers if answer.status != 201)
    assert refused == {(410, "session_ended"): 10}


def test_once_refused_a_writer_stays_refused(classroom: Classroom) -> None:
    def work(number: int) -> list[int]:
        if number:
            return [classroom.store().status for _ in range(20)]
        return [classroom.ask("end").status]

    statuses = at_once(11, work)[1:]
    assert all(answered == sorted(answered) for answered in statuses)


def test_nobody_is_let_in_once_an_end_was_answered(classroom: Classroom) -> None:
    def work(_: int) -> list[int]:
        classroom.ask("validate", **MEMBER)
        classroom.ask("end")
        return [classroom.ask("validate", **MEMBER).status for _ in range(5)]

    assert at_once(10, work) == [[410] * 5] * 10


def test_a_crawl_amid_writers_is_always_the_beginning_of_the_history(classroom: Classroom) -> None:
    def work(number: int) -> list[list[str]]:
        if number:
            return [[classroom.say("hello")["id"]] for _ in range(30)]
        return [[message["id"] for message in classroom.history(limit=7)] for _ in range(20)]

    crawls = at_once(5, work)[0]
    history = [message["id"] for message in classroom.history()]
    assert (len(history), crawls) == (120, [history[: len(crawl)] for crawl in crawls])


# Several containers


rendezvous: Barrier


def start_container(barrier: Barrier) -> None:
    """Prepare a process of its own."""
    global rendezvous
    rendezvous = barrier


def cold_start(variables: Mapping[str, str]) -> None:
    """Throw the warm environment away, and take over these variables."""
    environment.reset()
    for name in [name for name in os.environ if name.startswith("SWITCHBOARD_")]:
        del os.environ[name]
    os.environ.update(variables)


def meet(work: Callable[[int], T], number: int) -> T:
    """Start when all containers are ready."""
    rendezvous.wait(60)
    return work(number)


class Containers:
    """Processes of their own, each with a warm environment of its own."""

    def __init__(self, executors: list[ProcessPoolExecutor]) -> None:
        self._executors = executors

    def call(self, name: str, session_id: str | None = None, *, query: Json | None = None) -> Answer:
        """Call a function in the first container."""
        return self._executors[0].submit(call, name, session_id, query=query).result()

    def everywhere(self, work: Callable[[int], T]) -> list[T]:
        """Run `work(0)`, `work(1)`… in all containers at once."""
        return [future.result() for future in self.start(work)]

    def start(self, work: Callable[[int], T]) -> list[Future[T]]:
        """Begin as `everywhere`, without waiting for the results."""
        return [executor.submit(meet, work, number) for number, executor in enumerate(self._executors)]

    def cold_start(self) -> None:
        """Let all containers meet this test's database."""
        environment = {name: value for name, value in os.environ.items() if name.startswith("SWITCHBOARD_")}
        for executor in self._executors:
            executor.submit(cold_start, environment).result()


@pytest.fixture(scope="module")
def executors() -> Iterator[list[ProcessPoolExecutor]]:
    """Start the processes once for all tests here."""
    spawn = get_context("spawn")
    barrier = spawn.Barrier(CONTAINERS)
    started = [
        ProcessPoolExecutor(1, mp_context=spawn, initializer=start_container, initargs=(barrier,))
        for _ in range(CONTAINERS)
    ]
    yield started
    for executor in started:
        executor.submit(cold_start, {})
        executor.shutdown()


@pytest.fixture
def others(executors: list[ProcessPoolExecutor]) -> Containers:
    """Give the other containers, all of them cold."""
    containers = Containers(executors)
    containers.cold_start()
    return containers


def test_what_is_created_here_is_found_there(others: Containers, classroom: Classroom) -> None:
    assert others.call("get", classroom.id).body["session"] == classroom.session


def test_what_is_created_there_is_found_here(others: Containers) -> None:
    created = others.call("create").body["session"]
    assert call("get", created["id"]).body["session"] == created


READS: list[tuple[str, Json]] = [("get", {}), ("list", {}), ("validate", MEMBER), ("history", {})]


def test_a_warm_container_finds_what_is_created_later_elsewhere(others: Containers) -> None:
    others.call("list")
    later = open_classroom()
    answers = [others.call(name, later.id if name != "list" else None, query=query) for name, query in READS]
    assert [answer.status for answer in answers] == [200] * 4


def test_a_warm_container_lists_what_is_created_later_elsewhere(others: Containers) -> None:
    before = call("list").body["sessions"]
    created = others.call("create").body["session"]
    assert (before, call("list").body["sessions"]) == ([], [counted(created)])


def see(room: Classroom, call: Callable[..., Answer]) -> dict[str, object]:
    """Tell how a session looks from a container."""
    return {
        "get": call("get", room.id).body["session"]["status"],
        "list": [session["id"] for session in call("list").body["sessions"]],
        "validate": call("validate", room.id, query=MEMBER).status,
        "store": call("store", room.id).status,
        "end": call("end", room.id).status,
    }


ENDED: dict[str, object] = {"get": "ended", "list": [], "validate": 410, "store": 410, "end": 409}


@pytest.mark.parametrize("name", ENDED)
def test_what_ended_here_has_ended_there(others: Containers, classroom: Classroom, name: str) -> None:
    for _ in range(2):
        others.call("validate", classroom.id, query=MEMBER)
    classroom.ask("end")
    assert see(classroom, others.call)[name] == ENDED[name]


@pytest.mark.parametrize("name", ENDED)
def test_what_ended_there_has_ended_here(others: Containers, classroom: Classroom, name: str) -> None:
    for _ in range(2):
        classroom.ask("validate", **MEMBER)
    others.call("end", classroom.id)
    assert see(classroom, call)[name] == ENDED[name]


def test_messages_elsewhere_do_not_hide_an_end(others: Containers, classroom: Classroom) -> None:
    for _ in range(3):
        classroom.ask("validate", **MEMBER)
        others.call("store", classroom.id)
    others.call("end", classroom.id)
    assert classroom.ask("validate", **MEMBER).refusal == (410, "session_ended")


def test_health_counts_what_other_containers_opened(others: Containers, classroom: Classroom) -> None:
    call("health")
    others.call("create")
    assert call("health").body["active_sessions"] == 2


class EndsAtOnce:
    """Ends one session many times at once."""

    def __init__(self, session_id: str, times: int) -> None:
        self.session_id = session_id
        self.times = times

    def __call__(self, _: int) -> list[Answer]:
        return at_once(self.times, lambda _: call("end", self.session_id))


def test_of_ends_at_once_in_all_containers_one_wins(others: Containers, classroom: Classroom) -> None:
    answers = [answer for answered in others.everywhere(EndsAtOnce(classroom.id, 13)) for answer in answered]
    assert Counter(answer.status for answer in answers) == {200: 1, 409: 13 * CONTAINERS - 1}


def test_all_containers_report_the_same_end_time(others: Containers, classroom: Classroom) -> None:
    answers = [answer for answered in others.everywhere(EndsAtOnce(classroom.id, 13)) for answer in answered]
    end_time = classroom.ask("get").body["session"]["end_time"]
    assert [end_time in answer.text for answer in answers] == [True] * 13 * CONTAINERS


class Writes:
    """Stores broadcasts in one session, one after the other."""

    def __init__(self, session_id: str, times: int) -> None:
        self.session_id = session_id
        self.times = times

    def __call__(self, container: int) -> list[Answer]:
        bodies = [message_body(content={"text": f"{container}-{number:03}"}) for number in range(self.times)]
        return [call("store", self.session_id, body=body) for body in bodies]


def test_messages_of_all_containers_are_all_there(others: Containers, classroom: Classroom) -> None:
    answers = [answer for answered in others.everywhere(Writes(classroom.id, 50)) for answer in answered]
    stored = [answer.body["message"]["id"] for answer in answers]
    assert sorted(message["id"] for message in classroom.history()) == sorted(set(stored))


def test_each_containers_messages_come_in_its_order(others: Containers, classroom: Classroom) -> None:
    others.everywhere(Writes(classroom.id, 50))
    texts = [f"{container}-{number:03}" for container in range(CONTAINERS) for number in range(50)]
    assert sorted(classroom.texts(), key=lambda text: text.partition("-")[0]) == texts


def test_timestamps_of_all_containers_run_forwards(others: Containers, classroom: Classroom) -> None:
    others.everywhere(Writes(classroom.id, 50))
    times = [message["timestamp"] for message in classroom.history()]
    assert (len(times), times) == (50 * CONTAINERS, sorted(times))


def test_a_crawl_amid_other_containers_is_the_beginning_of_the_history(
    others: Containers, classroom: Classroom
) -> None:
    writers = others.start(Writes(classroom.id, 50))
    crawls = [classroom.history(limit=7)]
    while not all(writer.done() for writer in writers):
        crawls.append(classroom.history(limit=7))
    history = classroom.history()
    assert (len(history), crawls) == (50 * CONTAINERS, [history[: len(crawl)] for crawl in crawls])


class WritesUntilRefused:
    """Stores broadcasts in one session, until that is refused."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id

    def __call__(self, _: int) -> list[Answer]:
        return store_until_refused(self.session_id)


def test_an_end_amid_other_containers_parts_what_is_stored(others: Containers, classroom: Classroom) -> None:
    writers = others.start(WritesUntilRefused(classroom.id))
    while not classroom.ask("history").body["messages"]:
        pass
    classroom.ask("end")
    kept = [message["id"] for message in classroom.history()]
    answers = [answer for writer in writers for answer in writer.result()]
    stored = [answer.body["message"]["id"] for answer in answers if answer.status == 201]
    assert sorted(kept) == sorted(stored)


class CreatesUnderOneKey:
    """Creates a session under the same key, many times at once."""

    def __call__(self, _: int) -> list[str]:
        return at_once(13, lambda _: call("create", headers={"idempotency-key": "key"}).text)


def test_a_call_repeated_in_all_containers_is_made_once(others: Containers) -> None:
    texts = [text for answered in others.everywhere(CreatesUnderOneKey()) for text in answered]
    assert (len(set(texts)), call("list").body["total_count"]) == (1, 1)


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty messages a minute."""
    monkeypatch.setenv("SWITCHBOARD_MESSAGES_PER_MINUTE", "20")
    environment.reset()


class SendsTooMany:
    """Sends ann's and bob's messages in two sessions, many at once."""

    def __init__(self, rooms: list[Classroom]) -> None:
        self.rooms = rooms

    def __call__(self, container: int) -> list[tuple[str, int]]:
        return at_once(16, lambda number: self._send(container + number, "ann" if number % 4 < 2 else "bob"))

    def _send(self, number: int, user: str) -> tuple[str, int]:
        return user, self.rooms[number % 2].store("analytics", from_user=user).status


def test_all_containers_together_let_no_more_messages_pass_than_may(limit: None, others: Containers) -> None:
    rooms = [open_classroom(), open_classroom()]
    answers = Counter(one for answered in others.everywhere(SendsTooMany(rooms)) for one in answered)
    assert answers == {(user, status): count for user in ("ann", "bob") for status, count in ((201, 20), (429, 12))}
    assert sum(len(room.history()) for room in rooms) == 40


class Opens:
    """Opens sessions, one after the other."""

    def __call__(self, _: int) -> list[str]:
        return [open_classroom().id for _ in range(25)]


def test_a_new_database_may_be_met_by_all_containers_at_once(others: Containers) -> None:
    opened = [session_id for answered in others.everywhere(Opens()) for session_id in answered]
    listed = [session["id"] for page in pages("list", limit=30) for session in page["sessions"]]
    assert sorted(listed) == sorted(set(opened))
