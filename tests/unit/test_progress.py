"""What is shown while it lasts."""

import io

import pytest

from shared.cli.progress import Progress


class Terminal(io.StringIO):
    """A stream that people look at."""

    def isatty(self) -> bool:
        return True


def test_a_line_tells_share_rows_speed_and_what_is_left() -> None:
    progress = Progress(io.StringIO(), "copying", 200_000)
    progress.moved(50_000)
    assert (
        progress.line(5.0) == "copying   [#####               ]  25%  50,000 of 200,000 rows  10,000 rows/s  0:15 left"
    )


def test_what_a_run_before_did_is_done_but_no_speed() -> None:
    progress = Progress(io.StringIO(), "copying", 200_000, done=100_000)
    progress.moved(2_000)
    assert progress.line(2.0).endswith(" 51%  102,000 of 200,000 rows  1,000 rows/s  1:38 left")


@pytest.mark.parametrize(("done", "share"), [(0, "  0%"), (5, "100%"), (9, "100%")])
def test_unexpected_numbers(done: int, share: str) -> None:
    progress = Progress(io.StringIO(), "copying", 5)
    progress.moved(done)
    assert share in progress.line(0)


def test_nothing_to_do() -> None:
    assert "100%  0 of 0 rows" in Progress(io.StringIO(), "copying", 0).line(0)


def test_a_terminal_gets_one_line_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("shared.cli.progress._REDRAW", 0)
    terminal = Terminal()
    progress = Progress(terminal, "copying", 100)
    progress.moved(50)
    progress.moved(50)
    progress.close()
    _, *drawn = terminal.getvalue().rstrip("\n").split("\r")
    assert [len(line) for line in drawn] == [59] * 3
    assert ["50%" in drawn[0], "100%" in drawn[1], terminal.getvalue().count("\n")] == [True, True, 1]


def test_a_file_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    progress = Progress(file, "copying", 100)
    for _ in range(50):
        progress.moved(1)
    assert file.getvalue() == ""
    monkeypatch.setattr("shared.cli.progress._LINE", 0)
    progress.moved(1)
    progress.close()
    assert [line.split("%")[0][-2:] for line in file.getvalue().splitlines()] == ["51", "51"]
