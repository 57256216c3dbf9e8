"""Bodies of the emulator's own routes: JSON of a declared shape, or an error that names what is wrong."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from starlette.requests import Request

from emulator.gateway.bodies import Bodies
from emulator.server.queries import RefusedError

T = TypeVar("T")


async def read(request: Request, shape: type[T]) -> T:
    """The body as this shape. Raises RefusedError."""
    body = await Bodies().read(request.scope["headers"], request.receive)
    if body is None:
        raise RefusedError("the body is larger than the gateway takes", 413)
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RefusedError(str(error)) from None
