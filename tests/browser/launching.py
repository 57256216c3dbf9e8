"""Starts a browser of this machine, without a window."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
"""Playwright can drive each of them. None is downloaded."""

_ON_MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
_OPTIONS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--no-sandbox",  # root and most containers can have none; the pages are the project's own
)


def installed() -> str | None:
    """The path of a browser on this machine."""
    found = (shutil.which(program) for program in (*PROGRAMS, _ON_MACOS))
    return next((path for path in found if path), None)


@contextmanager
def launched(program: str) -> Iterator[Browser]:
    """A running browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_OPTIONS)
        yield browser
        browser.close()
