"""A short round of the workload: processes, threads and kills on one database, and every promise checked."""

from pathlib import Path

from tests.proof.rounds import Shape, run_round

SEEN = [
    ("create", "ok"),
    ("end", "ok"),
    ("end", "session_already_ended"),
    ("validate", "ok"),
    ("validate", "session_ended"),
    ("validate", "unauthorized"),
    ("get", "ok"),
    ("list", "ok"),
    ("store", "ok"),
    ("store", "session_ended"),
    ("store", "idempotency_key_reused"),
    ("history", "ok"),
]


def test_what_processes_see_keeps_every_promise(tmp_path: Path) -> None:
    result = run_round(Shape(seed="short", seconds=7.0, processes=4, kill_every=1.2), tmp_path / "round")
    assert result.violations == []
    assert result.damage == "ok"
    assert result.killed > 1
    assert [pair for pair in SEEN if result.counts[pair] == 0] == []
