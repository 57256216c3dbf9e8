"""What the log says of an invocation, and how much of it is kept."""

from __future__ import annotations

import pytest

from emulator.containers import Fault, Outcome, exited, timed_out
from emulator.manifest.model import Function
from emulator.service.logs import TAIL, LogBook

FUNCTION = Function("f", "s-dev-f", "app.f", 3, 128, {}, "eu-west-1", "python3.13", 1)
OTHER = Function("g", "s-dev-g", "app.g", 3, 128, {}, "eu-west-1", "python3.13", 1)
REPORT = "REPORT RequestId: 1\tDuration: 1.50 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 2 MB\t"


def text(outcome: Outcome) -> list[str]:
    return LogBook().record(FUNCTION, "1", outcome, 0.0).text().splitlines()


def test_the_lines_of_a_warm_invocation() -> None:
    lines = text(Outcome(b"null", log=b"said", duration=1.5, memory=1025))
    assert lines == ["START RequestId: 1 Version: $LATEST", "said", "END RequestId: 1", REPORT]


def test_a_cold_start_is_reported_and_billed() -> None:
    report = text(Outcome(b"null", duration=1.5, init=10.6, memory=1025))[-1]
    assert report == REPORT.replace(": 2 ms", ": 13 ms") + "Init Duration: 10.60 ms\t"


def test_the_lines_of_a_timeout() -> None:
    _, message, end, report = text(timed_out(FUNCTION, "1", 0, memory=1025))
    assert message == "1970-01-01T00:00:00.000Z 1 Task timed out after 3.00 seconds"
    assert end == "END RequestId: 1"
    assert report.endswith("\tStatus: timeout\t")


def test_the_lines_of_an_ended_process() -> None:
    assert text(exited("1", "exit status 1"))[1] == "RequestId: 1 Error: Runtime exited"


@pytest.mark.parametrize(("output", "count", "kept"), [(0, 1003, 1000), (2**22, 4, 2), (2**22 + 1, 4, 1)])
def test_the_oldest_entries_above_1000_or_8_mib_are_dropped(output: int, count: int, kept: int) -> None:
    book, log = LogBook(), b"x" * output
    for number in range(1, count + 1):
        book.record(FUNCTION, str(number), Outcome(b"", log=log), 0.0)
    assert [entry.number for entry in book.since(0)] == list(range(count - kept + 1, count + 1))
    assert (book.of("1"), book.of(str(count))[-2:], book.written) == (b"", b"\t\n", count)


def test_entries_after_a_number_and_of_a_function() -> None:
    book = LogBook()
    for number, function in enumerate((FUNCTION, OTHER, FUNCTION), start=1):
        book.record(function, str(number), Outcome(b"", fault=Fault.RAISED), 0.0)
    assert [entry.number for entry in book.since(1)] == [2, 3]
    assert [entry.number for entry in book.since(0, "f")] == [1, 3]
    assert [entry.number for entry in book.since(0, "s-dev-g")] == [2]


def test_the_tail_is_the_logs_last_bytes() -> None:
    entry = LogBook().record(FUNCTION, "1", Outcome(b"", log="ü".encode() * TAIL), 0.0)
    assert entry.tail() == entry.text().encode()[-4096:]
