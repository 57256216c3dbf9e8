"""Pages of a project's own, served beside its functions: single HTML files, read again at each request."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from emulator.server import management
from emulator.server.queries import answer

MAX_BYTES = 10_000_000

_NAME = re.compile("[A-Za-z0-9_-]{1,100}")
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+")


class PageError(Exception):
    """A file that cannot be served as a page; the text says why."""


class Page:
    """The HTML file `classroom.html` at `/_emulator/classroom`."""

    def __init__(self, file: Path) -> None:
        """Raises `PageError` for a file that cannot be read, or whose name makes no address."""
        self.path = f"{management.PREFIX}/{file.stem}"
        self._file = file.absolute()
        if not _NAME.fullmatch(file.stem):
            raise PageError(f"{file}: a page's name has letters, digits, '_' and '-' alone, before its '.html'")
        self._read()

    def route(self) -> Route:
        """The route of the page."""
        return Route(self.path, self.show, methods=["GET"])

    def show(self, request: Request) -> Response:
        """The file as it is now, with a policy by which it runs the scripts that are written in it, and no other."""
        try:
            content = self._read()
        except PageError as error:
            return answer({"message": str(error)}, 500)
        headers = {
            "cache-control": "no-store",
            "content-security-policy": policy(content, request.headers.get("host", "")),
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }
        return Response(content, 200, headers, "text/html; charset=utf-8")

    def _read(self) -> bytes:
        try:
            with self._file.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise PageError(f"{self._file}: {error.strerror}") from None
        if len(content) > MAX_BYTES:
            raise PageError(f"{self._file}: more than {MAX_BYTES} bytes")
        return content


def of_files(files: Iterable[Path], others: Iterable[BaseRoute]) -> list[Page]:
    """A page for each file. Raises `PageError`, also for two at one address and for an address of another route."""
    taken = {"/".join(route.path.split("/")[:3]) for route in others if isinstance(route, Route)}
    pages = []
    for file in files:
        page = Page(file)
        if page.path in taken:
            raise PageError(f"{file}: {page.path} is the address of something else: rename the file")
        taken.add(page.path)
        pages.append(page)
    return pages


def policy(content: bytes, host: str) -> str:
    """A Content-Security-Policy: files of this server alone, connections to it alone, and the page's own scripts.

    Scripts in the file are allowed by their hashes, so markup that a script inserts by mistake runs nothing.
    """
    scripts = " ".join(f"'sha256-{one}'" for one in _script_hashes(content))
    # Not every browser takes 'self' for WebSocket too.
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return (
        f"default-src 'self'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        f"connect-src 'self'{sockets}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def _script_hashes(content: bytes) -> list[str]:
    parser = _Scripts()
    # As a browser reads it: with one kind of line break, and something for what is no UTF-8.
    parser.feed(content.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n"))
    parser.close()
    return [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in parser.found]


class _Scripts(HTMLParser):
    """The texts of a page's script elements."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A script begins."""
        if tag == "script" and "src" not in dict(attrs):
            self._inside = True
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        """A script ends."""
        self._inside = self._inside and tag != "script"

    def handle_data(self, data: str) -> None:
        """A part of a script, or of the page's text."""
        if self._inside:
            self.found[-1] += data
