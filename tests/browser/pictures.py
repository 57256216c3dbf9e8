"""The pictures of the README: `python -m tests.browser.pictures` plays a lesson and photographs the pages."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser.classroom import PAGE, address, connect, create, frames, person, say
from tests.browser.launching import installed, launched
from tests.emulator.harness import ROOT, Emulator

FIGURES = Path(__file__).parent / "figures"


def lesson(emulator: Emulator) -> int:
    """A small lesson; the number of the request that is shown: a student who is not on the roster is refused."""
    created = emulator.post(
        "/api/sessions", {"name": "Fractions", "instructor_id": "ms_noether", "student_ids": ["ann", "bob"]}
    )
    path = f"/api/sessions/{created.json['session']['id']}"
    emulator.get(f"{path}/validate?user_id=ann&role=student")
    emulator.get(f"{path}/validate?user_id=eve&role=student")
    shown: int = emulator.get("/_emulator/requests?limit=1").json["last"]
    question = {"type": "request", "from_user": "ms_noether", "role": "instructor", "to_user": "ann"}
    emulator.post(f"{path}/messages", {**question, "content": {"text": "What is 1/2 + 1/4?"}})
    answer = {"type": "request_response", "from_user": "ann", "role": "student", "content": {"text": "3/4"}}
    emulator.post(f"{path}/messages", answer)
    emulator.get(f"{path}/messages?user_id=bob&role=student")
    emulator.request("DELETE", path)
    emulator.get(f"{path}/validate?user_id=ann&role=student")
    emulator.post(f"{path}/messages", answer)
    return shown


def requests(browser: Browser, emulator: Emulator) -> None:
    """The emulator's page with a refused request of a lesson."""
    shown = lesson(emulator)
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.goto(f"http://127.0.0.1:{emulator.port}/_emulator/#/requests/{shown}")
    page.get_by_text("Where the time went").wait_for()
    page.screenshot(path=FIGURES / "requests.png")


def classroom(browser: Browser, emulator: Emulator) -> None:
    """The page of a live classroom, after a question and its answer."""
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    page.goto(address(emulator))
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
    """Write the pictures."""
    program = installed()
    if program is None:
        sys.exit("no browser is installed: on Debian, apt-get install chromium")
    FIGURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "environment"
        environment.write_text(f"SWITCHBOARD_DATABASE_URL=sqlite:///{folder}/lesson.db\n")
        project = Path(folder) / "project"
        project.symlink_to(ROOT)  # the emulator's output is written beside it
        emulator = Emulator(project, "--env-file", str(environment), *PAGE)
        try:
            with launched(program) as browser:
                requests(browser, emulator)
                classroom(browser, emulator)
        finally:
            emulator.stop()
    print(f"{FIGURES.relative_to(ROOT)}: requests.png, classroom.png")


if __name__ == "__main__":
    main()
