"""The picture of the README: `python -m tests.browser.pictures` plays a lesson and photographs the emulator's page."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import installed
from tests.emulator.harness import ROOT, Emulator

PICTURE = Path(__file__).parent / "figures" / "requests.png"
SIZE = {"width": 1280, "height": 720}


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


def main() -> None:
    """Write the picture."""
    program = installed()
    if program is None:
        sys.exit("no browser is installed: on Debian, apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "environment"
        environment.write_text(f"SWITCHBOARD_DATABASE_URL=sqlite:///{folder}/lesson.db\n")
        project = Path(folder) / "project"
        project.symlink_to(ROOT)  # the emulator's output is written beside it
        emulator = Emulator(project, "--env-file", str(environment))
        try:
            shown = lesson(emulator)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
                page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
                page.goto(f"http://127.0.0.1:{emulator.port}/_emulator/#/requests/{shown}")
                page.get_by_text("Where the time went").wait_for()
                PICTURE.parent.mkdir(exist_ok=True)
                page.screenshot(path=PICTURE)
                browser.close()
        finally:
            emulator.stop()
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
