"""Functions in the emulator's own process: for a debugger's breakpoints, without isolation.

Functions share modules, memory and `os.environ` here. A function that times out is answered for, but goes on
in its thread. One that crashes the interpreter ends the emulator. Worker processes have none of these limits.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import threading
import time
from collections.abc import Callable, Mapping

from emulator.containers import (
    Fault,
    Figures,
    Invocation,
    Outcome,
    TravelError,
    debugging,
    environment,
    exited,
    throttled,
    timed_out,
)
from emulator.containers.capture import Buffers
from emulator.containers.debugging import DEBUGGING_SECONDS, Prompt
from emulator.containers.import_path import ImportPath
from emulator.containers.threads import Threads
from emulator.manifest.model import Function, Manifest
from emulator.runtime import handlers, log_format
from emulator.runtime.answers import Answer
from emulator.runtime.context import LambdaContext, set_trace_id
from emulator.runtime.memory import Memory
from emulator.runtime.time_travel import Timeline, Traveller

Loaded = tuple[handlers.Handler, dict[str, str]]
"""A handler, and the variables that its context reads."""


class InlineContainers:
    """Runs handlers on threads of this process."""

    isolated = False

    def __init__(self, manifest: Manifest, extra: Mapping[str, str], max_threads: int, url: str = "") -> None:
        """`extra` is what --env-file and --pass-env add, `url` the emulator's own."""
        self._manifest = manifest
        self._extra = extra
        self._url = url
        self._threads = Threads(max_threads)
        self._loaded: dict[Function, Loaded] = {}
        self._loading = threading.Lock()
        self._replaced: dict[str, str | None] = {}
        """The values that variables of this process had before the manifest's; None for those that were not set."""
        self._imports = ImportPath()
        self._printed = Buffers()
        self._prompt = Prompt()
        self._memory = Memory()
        self._traveller = Traveller()

    async def start(self) -> None:
        """Prepare this process as Lambda prepares a function's: working folder, import path, environment."""
        self._printed.install()
        self._prompt.install()
        os.chdir(self._manifest.folder)
        self._set_environment()

    @property
    def paused(self) -> bool:
        """Whether somebody debugs a function: no time limit counts."""
        return debugging.attached() or self._prompt.in_use

    async def invoke(self, function: Function, invocation: Invocation) -> Outcome:
        """Run a handler on a thread; a time-out is answered while the thread runs on."""
        call = _Call(function, invocation, self._threads, self._prompt)
        self._threads.submit(functools.partial(call.run, self._run))
        try:
            return await call.outcome
        finally:
            call.timer.cancel()

    def figures(self, _: Function) -> Figures | None:
        """None: every function runs in this process."""
        return None

    def replace(self, manifest: Manifest) -> None:
        """Use a changed manifest and its environment; modules that were imported stay as they are."""
        self._manifest = manifest
        self._loaded.clear()
        self._set_environment()

    async def follow(self, timeline: Timeline) -> None:
        """Show this time in the whole process, at once: to the emulator, too, whose timers are monotonic."""
        try:
            self._traveller.follow(timeline)
        except ImportError as error:
            raise TravelError(f"the package time-machine, which moves the time, cannot be used: {error}") from None

    async def stop(self) -> None:
        """Nothing to end: threads end with the process, which runs what modules registered for its exit."""
        self._threads.stop()
        self._prompt.uninstall()
        self._printed.uninstall()

    def _set_environment(self) -> None:
        """Put the variables of every function in place of those of the manifest before."""
        for name, value in self._replaced.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        wanted = {**environment.region(self._manifest), **environment.local(os.environ)}
        for function in self._manifest.functions.values():
            wanted |= environment.addressed(function, self._manifest.region, self._url)
        wanted |= self._extra
        wanted |= environment.endpoints(self._url, {**os.environ, **wanted})
        self._replaced = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)

    def _run(self, function: Function, invocation: Invocation) -> Outcome:
        self._printed.open()
        outcome = self._outcome(function, invocation)
        outcome.log = self._printed.close()
        outcome.shown = True
        outcome.memory = self._memory.peak()
        return outcome

    def _outcome(self, function: Function, invocation: Invocation) -> Outcome:
        begun = time.perf_counter()
        try:
            answer = self._call(function, invocation)
        except BaseException as ending:  # what would end the process of a real environment
            code = ending.code if isinstance(ending, SystemExit) else 1
            status = code if isinstance(code, int) else int(code is not None)
            return exited(invocation.request_id, f"exit status {status}", duration=_since(begun))
        duration = _since(begun)
        if answer.error is not None:
            print(log_format.error_line(answer, as_json=function.logs.json))
        fault = None if answer.error is None else Fault.RAISED
        return Outcome(answer.frame, fault, body=answer.body, duration=duration)

    def _call(self, function: Function, invocation: Invocation) -> Answer:
        try:
            handler, variables = self._loaded.get(function) or self._load(function)
        except handlers.InitError as error:
            return handlers.failure(error.kind, error.message, invocation.request_id, error.trace)
        set_trace_id(invocation.trace_id)
        context = LambdaContext(
            invocation.request_id,
            time.monotonic() + function.timeout,
            variables,
            function.arn,
            json.loads(invocation.client_context) if invocation.client_context else None,
        )
        return handlers.call(handler, invocation.payload, context)

    def _load(self, function: Function) -> Loaded:
        with self._loading:  # of two first requests one imports, and the other waits
            if (found := self._loaded.get(function)) is None:
                self._imports.prepare(function, self._manifest, self._extra)
                found = handlers.load(function.handler), environment.of_lambda(function, self._manifest)
                self._loaded[function] = found
        return found


class _Call:
    """One invocation on a thread: its outcome is that of the handler, or of its time limit if that passes before."""

    def __init__(self, function: Function, invocation: Invocation, threads: Threads, prompt: Prompt) -> None:
        self._function = function
        self._invocation = invocation
        self._threads = threads
        self._prompt = prompt
        self._thread = 0
        self._loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[Outcome] = self._loop.create_future()
        self.timer = self._loop.call_later(function.timeout, self._end_at_limit)

    def run(self, work: Callable[[Function, Invocation], Outcome]) -> None:
        """Do the work of the call, on the current thread."""
        self._thread = threading.get_ident()
        try:
            outcome = work(self._function, self._invocation)
        finally:
            self._prompt.release()
        with contextlib.suppress(RuntimeError):  # the loop is closed: the emulator has stopped without this one
            self._loop.call_soon_threadsafe(self._settle, outcome)

    def _end_at_limit(self) -> None:
        if debugging.attached() or self._prompt.stopped(self._thread):
            self.timer = self._loop.call_later(DEBUGGING_SECONDS, self._end_at_limit)
        elif self._thread:
            self._threads.give_up()
            self._settle(timed_out(self._function, self._invocation.request_id, time.time_ns()))
        else:
            self._settle(throttled(self._function))

    def _settle(self, outcome: Outcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


def _since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000
