"""Amazon's runtime client with another time than the system's.

The client is a program of its own, so this starts it with two of its methods changed: before each invocation it looks
for a new timeline, and the remaining time of an invocation is real. While the clock is the system's, the client
is started by itself.
"""

from __future__ import annotations

import runpy
import socket
import sys
from typing import Any

from .time_travel import Timeline, Traveller, system_time
from .worker import enter_project

CLIENT = "awslambdaric"
SEPARATOR = b"\n"
"""Behind each timeline in the channel."""


def main(descriptor: int, root: str, timeline: str, handler: str) -> None:
    """Run the client; timelines arrive on an inherited socket, each before the event that it is for."""
    enter_project(root)
    sys.argv = [CLIENT, handler]
    traveller = Traveller()
    traveller.follow(Timeline.of(timeline))
    _change(traveller, socket.socket(fileno=descriptor))
    runpy.run_module(CLIENT, run_name="__main__", alter_sys=True)


def _change(traveller: Traveller, channel: socket.socket) -> None:
    from awslambdaric.lambda_context import LambdaContext
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient

    wait = LambdaRuntimeClient.wait_next_invocation

    def wait_and_follow(client: Any) -> Any:
        request = wait(client)
        if (text := _latest(channel)) is not None:
            traveller.follow(Timeline.of(text))
        return request

    def remaining(context: Any) -> int:
        return max(0, int(context._epoch_deadline_time_in_ms) - system_time() // 1_000_000)

    LambdaRuntimeClient.wait_next_invocation = wait_and_follow
    LambdaContext.get_remaining_time_in_millis = remaining


def _latest(channel: socket.socket) -> str | None:
    """The last of the timelines that have arrived; None when there is none."""
    received = b""
    try:
        while chunk := channel.recv(4096, socket.MSG_DONTWAIT):
            received += chunk
    except BlockingIOError:
        pass
    timelines = received.decode().split(SEPARATOR.decode())
    return timelines[-2] if len(timelines) > 1 else None
