"""The progress of a long command: a bar on a terminal, otherwise a line every few seconds."""

import shutil
from typing import TextIO

from shared import clock

_BAR = 20  # characters
_REDRAW = 0.2  # seconds between two updates of the bar
_LINE = 5.0  # seconds between two lines without a terminal


class Progress:
    """Shows on `stream` how many of `total` rows, or other units, are done. An earlier run has done `done` of them."""

    def __init__(self, stream: TextIO, label: str, total: int, done: int = 0, *, unit: str = "rows") -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._label = label
        self._unit = unit
        self._total = total
        self._before = self._done = done
        self._began = self._shown = clock.elapsed()

    def moved(self, rows: int) -> None:
        """Add rows that are done now."""
        self._done += rows
        if clock.elapsed() - self._shown >= (_REDRAW if self._terminal else _LINE):
            self._show()

    def close(self) -> None:
        """Show the last state, complete or not."""
        self._show()
        if self._terminal:
            self._stream.write("\n")
            self._stream.flush()

    def _show(self) -> None:
        self._shown = clock.elapsed()
        line = self.line(self._shown - self._began)
        if self._terminal:
            columns = shutil.get_terminal_size().columns - 1
            self._stream.write("\r" + line[:columns].ljust(columns))
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def line(self, seconds: float) -> str:
        """The text after `seconds`: percent, rows, rows per second of this run, and an estimate of the time left."""
        share = min(1.0, self._done / self._total) if self._total else 1.0
        speed = (self._done - self._before) / max(seconds, 0.001)
        filled = "#" * int(share * _BAR)
        left = "-:--"
        if speed or share == 1:
            minutes, rest = divmod(int(max(0, self._total - self._done) / max(speed, 0.001)), 60)
            left = f"{minutes}:{rest:02}"
        done = f"{self._done:,} of {max(self._total, self._done):,} {self._unit}"
        speed_text = f"{speed:,.0f} {self._unit}/s"
        return f"{self._label:<9} [{filled:<{_BAR}}] {int(share * 100):3}%  {done}  {speed_text}  {left} left"
