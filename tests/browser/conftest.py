"""A real browser without a window: a test's `page`, which fails it when a script fails or another host is asked."""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.browser.launching import installed, launched

expect.set_options(timeout=60_000)  # milliseconds, for a slow machine

_LOCAL = ("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of a module; not of all, since Playwright's event loop keeps others from running."""
    program = installed()
    if program is None:
        pytest.skip("no browser is installed: on Debian, apt-get install chromium")
    with launched(program) as browser:
        yield browser


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """A factory of pages, each in a profile of its own. Keyword arguments are those of Playwright's `new_context`.

    The test fails afterwards if a page threw an error, broke its Content-Security-Policy or asked another host.
    """
    faults: list[str] = []
    contexts = []

    def console(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            faults.append(message.text)

    def asked(url: str) -> None:
        if urlsplit(url).scheme not in ("data", "blob", "about") and urlsplit(url).hostname not in _LOCAL:
            faults.append(f"the page asked for {url}")

    def make(**options: object) -> Page:
        context = browser.new_context(**options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", console)
        page.on("request", lambda request: asked(request.url))
        page.on("websocket", lambda socket: asked(socket.url))
        return page

    yield make
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """A page in a profile of its own."""
    return new_page()
