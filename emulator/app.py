"""The whole application: the gateway for every request but those to the emulator itself."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from emulator.console import Console
from emulator.gateway import Gateway
from emulator.invocations import Functions


class Application:
    """Requests go straight to the gateway; Starlette serves the emulator's own routes and the lifespan."""

    def __init__(self, gateway: Gateway, functions: Functions, console: Console) -> None:
        self.gateway = gateway
        self.functions = functions
        self.console = console
        self.starlette = Starlette(lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.gateway(scope, receive, send)
        else:
            await self.starlette(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        await self.functions.containers.start()
        yield
        # Not in a finally: a second Ctrl-C cancels this, and then nothing is waited for.
        await self.functions.containers.stop()
        self.console.flush()
