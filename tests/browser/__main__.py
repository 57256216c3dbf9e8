"""Makes the pictures of pages: `python -m tests.browser` writes them to `tests/browser/figures/`."""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser.classroom import PAGE, address, connect, create, frames, person, say
from tests.browser.launching import installed, launched
from tests.emulator.harness import Emulator
from tests.emulator.test_identity import start

FIGURES = Path(__file__).parent / "figures"


def classroom(browser: Browser, service: Emulator) -> None:
    """The page of a live classroom, after a question and its answer."""
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    page.goto(address(service))
    teacher, student = person(page, "Teacher"), person(page, "Student")
    create(page)
    connect(teacher, student)
    expect(page.locator("#about")).to_contain_text("2 connected")
    say(teacher, "request", "What is 1/2 + 1/4?")
    expect(frames(student).last).to_contain_text("What is")
    say(student, "request_response", "3/4")
    expect(frames(teacher).last).to_contain_text("3/4")
    page.evaluate("document.activeElement.blur()")
    page.screenshot(path=FIGURES / "classroom.png", full_page=True)


def main() -> None:
    """Every picture."""
    program = installed()
    if program is None:
        sys.exit("no browser is installed: on Debian, apt-get install chromium")
    FIGURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, launched(program) as browser:
        service = start(Path(folder), "workers", *PAGE)
        try:
            classroom(browser, service)
        finally:
            service.stop()


if __name__ == "__main__":
    main()
