"""The record: what was answered, what was not, and what a killed process leaves."""

from contextlib import closing
from pathlib import Path

from tests.proof.record import OK, UNANSWERED, Fields, Recorder, read_folder


def answer() -> tuple[str, Fields]:
    """Something to record."""
    return OK, {"status": "active"}


def test_a_call_is_read_as_it_was_made(tmp_path: Path) -> None:
    with closing(Recorder(tmp_path / "one.jsonl")) as recorder:
        recorder.call("one.0", "get", {"session_id": "room"}, answer)
    (call,) = read_folder(tmp_path)
    assert (call.caller, call.operation, call.arguments) == ("one.0", "get", {"session_id": "room"})
    assert (call.outcome, call.value) == (OK, {"status": "active"})
    assert call.begin <= call.end


def test_calls_of_all_processes_come_in_the_order_of_their_begin(tmp_path: Path) -> None:
    with closing(Recorder(tmp_path / "two.jsonl")) as two, closing(Recorder(tmp_path / "one.jsonl")) as one:
        for number, recorder in enumerate((two, one, two, one)):
            recorder.call("anybody", "get", {"number": number}, answer)
    assert [call.arguments["number"] for call in read_folder(tmp_path)] == [0, 1, 2, 3]


def test_what_a_process_did_before_its_death_is_known_and_the_rest_unanswered(tmp_path: Path) -> None:
    path = tmp_path / "killed.jsonl"
    with closing(Recorder(path)) as recorder:
        for number in range(2):
            recorder.call("killed.0", "get", {"number": number}, answer)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]) + lines[3][:-9])
    assert [(call.outcome, call.end < float("inf")) for call in read_folder(tmp_path)] == [
        (OK, True),
        (UNANSWERED, False),
    ]
