"""An execution environment's process: imports its handler once, then answers one invocation after the other.

The answer goes back over a socket of its own, never over stdout. Whatever the handler prints, and whatever its
children print, goes down a pipe that the emulator reads as the log. When the socket closes, the process ends as
any Python process does: what its modules registered for their exit is run.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import struct
import sys
import time
from typing import Any

from . import handlers, log_format
from .answers import Answer
from .context import LambdaContext, set_trace_id
from .memory import Memory
from .opened_files import OpenedFiles
from .time_travel import Timeline, Traveller

LENGTH = struct.Struct("!I")
REQUEST = struct.Struct("!IH")
"""Length of what follows, length of the invocation's head in it; then the head, then the event.

Without a head it is no invocation: what follows is the timeline of the function's clock from now on.
"""
REPLY = struct.Struct("!IBdII")
"""Length of what follows, kind, milliseconds, peak memory in kilobytes, length of the body; then frame and body."""

READY, ANSWER, ERROR, FILES, INIT_ERROR = range(1, 6)


class Channel:
    """The socket to the emulator: frames in, frames out."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.rest = b""

    def receive(self) -> tuple[bytes, bytes] | None:
        """The next invocation's head and event, or a timeline without a head; None when the emulator has closed."""
        data = bytearray(self.rest)
        needed = REQUEST.size
        while len(data) < needed or len(data) < (needed := LENGTH.unpack_from(data)[0] + LENGTH.size):
            chunk = self.connection.recv(max(65536, needed - len(data)))
            if not chunk:
                return None
            data += chunk
        self.rest = bytes(data[needed:])
        middle = REQUEST.size + REQUEST.unpack_from(data)[1]
        return bytes(data[REQUEST.size : middle]), bytes(data[middle:needed])

    def send(self, kind: int, answer: Answer, milliseconds: float = 0.0, memory: int = 0) -> None:
        """Send one frame, with the body that stands beside it."""
        length = REPLY.size - LENGTH.size + len(answer.frame) + len(answer.body)
        head = REPLY.pack(length, kind, milliseconds, memory, len(answer.body))
        self.connection.sendall(head + answer.frame)
        if answer.body:
            self.connection.sendall(answer.body)


class Worker:
    """Runs one function's invocations."""

    def __init__(self, channel: Channel, root: str, traveller: Traveller) -> None:
        self.channel = channel
        self.traveller = traveller
        self.opened = OpenedFiles(root)
        self.environment = dict(os.environ)
        self.arn = self.environment.pop("_INVOKED_FUNCTION_ARN", "")
        self.json = self.environment.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
        self.memory = Memory()
        self.sources = 0
        self.request_id = ""
        self.pid = os.getpid()

    def run(self) -> None:
        """Import the handler, report that, and serve until the emulator closes the channel."""
        begun = time.perf_counter()
        self.opened.listen()
        try:
            handler = handlers.load(self.environment["_HANDLER"])
        except handlers.InitError as error:
            failure = handlers.failure(error.kind, error.message, "", error.trace)
            self._print(failure)
            self.channel.send(INIT_ERROR, failure, _since(begun), self.memory.peak())
            return
        self.channel.send(READY, self._files(), _since(begun), self.memory.peak())
        while (received := self.channel.receive()) is not None:
            head, event = received
            if head:
                self._serve(handler, head, event)
            else:
                self.traveller.follow(Timeline.of(event.decode()))

    def _serve(self, handler: handlers.Handler, head: bytes, event: bytes) -> None:
        self.request_id, deadline, trace_id, client = head.decode().split("\t", 3)
        set_trace_id(trace_id)
        client_context = json.loads(client) if client else None
        context = LambdaContext(self.request_id, float(deadline), self.environment, self.arn, client_context)
        begun = time.perf_counter()
        answer = handlers.call(handler, event, context)
        milliseconds = _since(begun)
        if os.getpid() != self.pid:
            os._exit(0)  # a child that the handler forked returned too: only its parent answers
        self._print(answer)
        _flush()
        if len(sys.modules) + len(self.opened) != self.sources:
            self.channel.send(FILES, self._files())
        kind = ANSWER if answer.error is None else ERROR
        self.channel.send(kind, answer, milliseconds, self.memory.peak())

    def _files(self) -> Answer:
        self.sources = len(sys.modules) + len(self.opened)
        read = [*handlers.source_files(), *self.opened.read]
        return Answer(json.dumps({"read": read, "written": list(self.opened.written)}).encode())

    def _print(self, answer: Answer) -> None:
        if answer.error is None:
            return
        with contextlib.suppress(OSError, ValueError):  # a handler may have closed stdout
            print(log_format.error_line(answer, as_json=self.json), flush=True)


class LogHandler(logging.Handler):
    """The root logger's handler, in the format that the function's settings name."""

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self.worker = worker
        self.setFormatter(log_format.JsonFormatter() if worker.json else log_format.text_formatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record to the function's log."""
        record.aws_request_id = self.worker.request_id
        sys.stdout.write(self.format(record) + "\n")


def _since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue


def main(descriptor: int, root: str, timeline: str) -> None:
    """Serve on an inherited socket, with the project's folder in front of the import path.

    `timeline` is what the function's clock shows while the handler is imported, and then until it is moved.
    """
    enter_project(root)
    for stream in (sys.stdout, sys.stderr):
        _line_buffered(stream)
    traveller = Traveller()
    worker = Worker(Channel(socket.socket(fileno=descriptor)), root, traveller)
    traveller.follow(Timeline.of(timeline))
    _set_up_logging(worker)
    worker.run()


def enter_project(root: str) -> None:
    """Put the project's folder in front of the import path. Modules of this package cannot be imported any more."""
    sys.path[0] = root
    # The project may have a package called like this one.
    for name in [name for name in sys.modules if name.partition(".")[0] == "emulator"]:
        del sys.modules[name]


def _set_up_logging(worker: Worker) -> None:
    logger = logging.getLogger()
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = log_format.LEVELS.get(level, level)
    if isinstance(logging.getLevelName(level), int):
        logger.setLevel(level)
    logger.addHandler(LogHandler(worker))


def _line_buffered(stream: Any) -> None:
    stream.reconfigure(line_buffering=True, errors="backslashreplace")
