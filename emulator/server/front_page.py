"""The page for people, at `/_emulator/`: three files of the package, and nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from emulator.server.management import PREFIX

FILES = {
    "page.html": "text/html; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Nothing but this page's own files may run or be fetched, and no other page may show it in a frame."""


def routes() -> list[Route]:
    """The routes, all below PREFIX."""
    return [
        Route(PREFIX, _to_page, methods=["GET"]),
        Route(f"{PREFIX}/", _served("page.html"), methods=["GET"]),
        *(Route(f"{PREFIX}/{name}", _served(name), methods=["GET"]) for name in FILES if name != "page.html"),
    ]


async def _to_page(_: Request) -> Response:
    return RedirectResponse(f"{PREFIX}/")


def _served(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve(_: Request) -> Response:
        content = (files("emulator.server") / "front_page_files" / name).read_bytes()
        return Response(content, headers=HEADERS, media_type=FILES[name])

    return serve
