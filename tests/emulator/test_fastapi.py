"""A FastAPI project behind Mangum, as its browser sees it."""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.emulator.harness import Emulator

PROJECT = "fastapi_mangum"


def test_a_body_is_validated(browser: httpx.Client) -> None:
    assert browser.post("/items", json={"name": "pen", "count": 2}).json() == {"name": "pen", "count": 2}
    refused = browser.post("/items", json={"name": "pen", "count": 0})
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "count"])


def test_the_application_is_started_and_knows_its_address(browser: httpx.Client) -> None:
    found = browser.get("/state?a=%20b&a=c").json()
    assert found == {"opened": "yes", "url": str(browser.base_url.join("/state?a=%20b&a=c"))}


def test_cookies_survive_a_redirect(browser: httpx.Client) -> None:
    answer = browser.post("/sign-in", data={"name": "ann"})
    assert [each.status_code for each in answer.history] == [303]
    assert answer.json() == {"name": "ann", "colour": "blue"}


def test_files_are_uploaded_unchanged(browser: httpx.Client) -> None:
    contents = {"bytes.bin": bytes(range(256)) * 300, "tëxt.txt": "ä".encode()}
    files = [("files", (name, content)) for name, content in contents.items()]
    found = browser.post("/files", files=files, data={"note": "zwei ä"}).json()
    assert found == {"note": "zwei ä", "files": [[name, zlib.crc32(content)] for name, content in contents.items()]}


def test_a_download_has_every_byte(browser: httpx.Client) -> None:
    answer = browser.get("/download")
    assert answer.content == bytes(range(256))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="bytes.bin"'
    assert (answer.headers["Content-Type"], answer.headers["Content-Length"]) == ("application/octet-stream", "256")


def test_a_body_in_parts_arrives_whole(browser: httpx.Client) -> None:
    assert browser.get("/stream").text == "one,two,three"


def test_an_error_is_the_application_s_and_its_trace_is_in_the_log(browser: httpx.Client, framework: Emulator) -> None:
    answer = browser.get("/fail")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    framework.wait_for("RuntimeError: on purpose")


def test_several_requests_at_once(browser: httpx.Client) -> None:
    with ThreadPoolExecutor(4) as callers:
        answers = callers.map(lambda _: browser.get("/state").status_code, range(12))
        assert set(answers) == {200}
