"""A Flask project behind apig-wsgi, as its browser sees it."""

from __future__ import annotations

import zlib

import httpx

PROJECT = "flask_apig_wsgi"


def test_cookies_survive_a_redirect(browser: httpx.Client) -> None:
    answer = browser.post("/sign-in", data={"name": "ann"})
    assert [each.status_code for each in answer.history] == [303]
    assert answer.json() == {"name": "ann", "colour": "blue"}


def test_the_address_is_the_client_s(browser: httpx.Client) -> None:
    found = browser.get("/echo/a%20b/c?tag=1&tag=%262").json()
    assert (found["rest"], found["tags"]) == ("a b/c", ["1", "&2"])
    assert found["url"] == str(browser.base_url.join("/echo/a%20b/c?tag=1&tag=%262"))


def test_a_file_is_uploaded_unchanged(browser: httpx.Client) -> None:
    content = bytes(range(256)) * 300
    found = browser.post("/files", files={"file": ("b.bin", content)}, data={"note": "ä"}).json()
    assert found == {"name": "b.bin", "note": "ä", "length": len(content), "crc": zlib.crc32(content)}


def test_a_download_has_every_byte(browser: httpx.Client) -> None:
    answer = browser.get("/download")
    assert (answer.content, answer.headers["Content-Type"]) == (bytes(range(256)), "application/octet-stream")


def test_an_error_of_the_application_is_its_own_page(browser: httpx.Client) -> None:
    answer = browser.get("/nowhere")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
