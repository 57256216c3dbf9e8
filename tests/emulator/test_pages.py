"""Pages of a project's own: which file is served where, and what its policy lets run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.server import pages
from tests.emulator.harness import Emulator, running, write_service
from tests.emulator.test_access import APP, MANIFEST, status
from tests.emulator.test_command_line import run

HTML = "<!doctype html><p>Größe</p><script>one()</script>"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's file."""
    return tmp_path_factory.mktemp("pages") / "my-page_1.html"


@pytest.fixture(scope="module")
def served(file: Path) -> Iterator[Emulator]:
    """An emulator that serves it."""
    file.write_text(HTML, "utf-8")
    folder = write_service(file.parent / "service", MANIFEST, app=APP)
    with running(folder, "--inline", "--page", str(file)) as started:
        yield started


def hashed(script: str) -> str:
    """How a policy names a script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def test_a_page_is_served_under_the_name_of_its_file(served: Emulator) -> None:
    answer = served.get("/_emulator/my-page_1")
    assert (answer.status, answer.body.decode()) == (200, HTML)
    assert answer.header("content-type") == "text/html; charset=utf-8"
    assert f"page  http://127.0.0.1:{served.port}/_emulator/my-page_1" in served.output()


def test_a_page_is_read_at_each_request(served: Emulator, file: Path) -> None:
    file.write_text("<p>new</p>")
    assert served.get("/_emulator/my-page_1").body == b"<p>new</p>"
    file.unlink()
    answer = served.get("/_emulator/my-page_1")
    assert (answer.status, answer.json) == (500, {"message": f"{file}: No such file or directory"})
    file.write_text(HTML, "utf-8")


def test_the_policy_lets_only_the_scripts_of_the_file_run(served: Emulator) -> None:
    policy = served.get("/_emulator/my-page_1").header("content-security-policy") or ""
    assert f"script-src 'self' {hashed('one()')};" in policy
    assert f"connect-src 'self' ws://127.0.0.1:{served.port} " in policy
    assert "default-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    ("html", "scripts"),
    [
        ("<script>a</script><SCRIPT type=module>b\r\nc\rd</SCRIPT >", ["a", "b\nc\nd"]),
        ("<script>if (1 < 2 && '<p>') x('&amp;')</script>", ["if (1 < 2 && '<p>') x('&amp;')"]),
        ("<script src=/a.js></script><p><!-- <script>a</script> -->", []),
        ("\ufeff<script>ü\udcff</script>", ["ü\ufffd"]),
    ],
)
def test_each_script_is_named_by_its_hash(html: str, scripts: list[str]) -> None:
    policy = pages.policy(html.encode("utf-8", "surrogateescape"), "localhost")
    named = policy.partition("script-src ")[2].partition(";")[0].split()
    assert named == ["'self'", *map(hashed, scripts)]


def test_a_host_cannot_add_to_the_policy() -> None:
    assert "connect-src 'self';" in pages.policy(b"", "localhost; script-src *")


def test_a_page_is_for_this_machine_alone(served: Emulator) -> None:
    route = "GET /_emulator/my-page_1"
    assert status(served, route, "Host: localhost:PORT", "Sec-Fetch-Site: none") == 200
    assert status(served, route, "Host: evil.example") == 403
    assert status(served, route, "Host: localhost:PORT", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: iframe") == 403


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("missing.html", "{file}: No such file or directory"),
        ("two words.html", "{file}: a page's name has letters"),
        ("logs.html", "{file}: /_emulator/logs is the address of something else"),
        ("schedules.html", "{file}: /_emulator/schedules is the address of something else"),
    ],
)
def test_a_file_that_cannot_be_a_page_is_refused_at_the_start(tmp_path: Path, name: str, told: str) -> None:
    folder = write_service(tmp_path / "service", MANIFEST, app=APP)
    file = tmp_path / name
    if name != "missing.html":
        file.write_text(HTML)
    result = run("--port", "0", "--manifest", str(folder / "serverless.yml"), "--page", str(file))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: --page {told.format(file=file)}")


def test_two_pages_of_one_name_are_refused(tmp_path: Path) -> None:
    files = [tmp_path / "a.html", tmp_path / "other" / "a.html"]
    files[1].parent.mkdir()
    for file in files:
        file.write_text(HTML)
    with pytest.raises(pages.PageError, match="/_emulator/a is the address of something else"):
        pages.of_files(files, [])
    assert len(pages.of_files(files[:1], [])) == 1


def test_a_file_without_an_end_is_refused() -> None:
    with pytest.raises(pages.PageError, match="more than"):
        pages.Page(Path("/dev/zero"))
