"""The queries and the answers of the emulator's own routes: what means nothing is refused with its reason."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

_NUMBER = re.compile("[0-9]{1,18}")


class RefusedError(Exception):
    """A request that is refused; the text says why."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status

    def response(self) -> Response:
        """The reason as JSON."""
        return answer({"message": str(self)}, self.status)


def answer(value: Any, status: int = 200) -> Response:
    """JSON in ASCII, so that every text can be sent, a lone surrogate too; never kept by a browser."""
    return Response(json.dumps(value), status, {"cache-control": "no-store"}, "application/json")


def parameters(request: Request, *known: str) -> dict[str, str]:
    """The parameters of a request's query; one that is not known or is given twice is refused."""
    given = request.query_params.multi_items()
    query = dict(given)
    if strange := [name for name in query if name not in known]:
        raise RefusedError(f"there is no parameter {strange[0]!r}; there is {', '.join(known) or 'none'}")
    if len(query) < len(given):
        raise RefusedError("a parameter is given twice")
    return query


def number(values: Mapping[str, str], name: str, default: int) -> int:
    """A whole number of 0 or more."""
    text = values.get(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text):
        raise RefusedError(f"{name} must be a whole number of at most 18 digits")
    return int(text)
