"""`kill -9` at random moments under load: acknowledged writes are complete, and no write is there in part."""

import itertools
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from shared import environment
from tests.conftest import call, message_body, open_classroom, pages, session_body
from tests.faults.observing import contradictions
from tests.faults.processes import Child, Report

ROUNDS = 40
SECONDS = 25.0  # at most
SEED = 20261122
START = 1.0  # seconds that a new process may take until its first write is committed


def write(report: Report, seed: str) -> None:
    """Create, store and end in three threads, and report each acknowledgement before the next call."""
    threads = [threading.Thread(target=write_on, args=(report, random.Random(f"{seed} {n}"))) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def write_on(report: Report, chance: random.Random) -> None:
    """One thread of it."""
    while True:
        students = [f"student_{number}" for number in range(chance.randint(1, 30))]
        created = call("create", body=session_body(student_ids=students))
        if created.status != 201:
            report(["refused", *created.refusal])
            continue
        room = created.body["session"]
        report(["created", room["id"], students])
        for number in range(chance.randint(1, 12)):
            content = {"text": f"{number} " + "x" * chance.choice([1, 100, 20_000])}
            stored = call("store", room["id"], body=message_body(content=content))
            if stored.status == 201:
                report(["stored", room["id"], stored.body["message"]["id"]])
            else:
                report(["refused", *stored.refusal])
        if chance.random() < 0.5:
            ended = call("end", room["id"])
            report(["ended", room["id"], ended.body["session"]["end_time"]])


def read(report: Report, _seed: str) -> None:
    """List and read histories, and report what is not as it should be."""
    for number in itertools.count():
        listed = call("list", query={"status": "all", "limit": 20})
        for session in listed.body["sessions"]:
            history = call("history", session["id"])
            if history.status != 200:
                report(["refused", *history.refusal])
        if number == 0:
            report(["reads"])


class Record:
    """What was acknowledged in all rounds."""

    def __init__(self) -> None:
        self.created: dict[str, list[str]] = {}
        self.stored: dict[str, list[str]] = {}
        self.ended: dict[str, str] = {}
        self.refused: list[Any] = []

    def add(self, reports: list[Any]) -> None:
        """Take the reports of one process."""
        for kind, *facts in reports:
            if kind == "created":
                self.created[facts[0]] = facts[1]
            elif kind == "stored":
                self.stored.setdefault(facts[0], []).append(facts[1])
            elif kind == "ended":
                self.ended[facts[0]] = facts[1]
            elif kind == "refused":
                self.refused.append(facts)

    def missing(self) -> list[Any]:
        """What was acknowledged and is not there, or not as it was."""
        listed = pages("list", status="all", limit=1000)
        sessions = {session["id"]: session for page in listed for session in page["sessions"]}
        missing: list[Any] = []
        for session, students in self.created.items():
            if session not in sessions or sessions[session]["student_ids"] != students:
                missing.append(["created", session])
        for session, end_time in self.ended.items():
            if sessions[session]["end_time"] != end_time or sessions[session]["status"] != "ended":
                missing.append(["ended", session])
        for session, messages in self.stored.items():
            found = {message["id"] for page in pages("history", session) for message in page["messages"]}
            missing += [["stored", message] for message in messages if message not in found]
        return missing


def first_write(report: Report) -> None:
    """A new process after the deaths: how long its first write takes, cold start included."""
    started = time.monotonic()
    open_classroom()
    report(time.monotonic() - started)


def test_nothing_acknowledged_is_lost_and_nothing_is_there_by_half(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWITCHBOARD_BUSY_TIMEOUT_MS", "5000")
    chance = random.Random(SEED)
    record = Record()
    deadline = time.monotonic() + SECONDS
    open_classroom()
    environment.reset()
    for number in range(ROUNDS):
        if time.monotonic() > deadline:
            break
        works = [write, write, read]
        children = [
            Child(lambda report, work=work, seed=f"{SEED} {number} {n}": work(report, seed))  # type: ignore[misc]
            for n, work in enumerate(works)
        ]
        reports = [[child.report()] for child in children]
        time.sleep(chance.uniform(0, 0.12))
        for index in chance.sample(range(len(children)), len(children)):
            children[index].kill()
            time.sleep(chance.choice([0, 0, 0.005]))
        for child, told in zip(children, reports, strict=True):
            record.add(told + child.rest())
            child.close()
        with Child(first_write) as child:
            assert child.report() < START
        if number % 8 == 0:
            assert contradictions(database) == []
    assert record.refused == []
    assert record.missing() == []
    assert contradictions(database) == []
    assert number >= ROUNDS // 4, "too few rounds to say anything"
    assert len(record.created) > ROUNDS


def test_a_process_that_is_killed_in_its_first_start_leaves_a_start(database: Path) -> None:
    chance = random.Random(SEED)
    for number in range(15):
        database.parent.joinpath(str(number)).mkdir()
        path = database.parent / str(number) / "classroom.db"
        with Child(lambda report, path=path: start_at(report, path)) as child:  # type: ignore[misc]
            child.report()
            time.sleep(chance.uniform(0, 0.04))
        with Child(lambda report, path=path: start_at(report, path)) as child:  # type: ignore[misc]
            child.report()
            assert child.report() == [201, None]
        assert contradictions(path) == []


def start_at(report: Report, path: Path) -> None:
    """Start cold on a database that is not there yet."""
    os.environ["SWITCHBOARD_DATABASE_URL"] = f"sqlite:///{path}"
    report("starting")
    report(list(call("create").refusal))
