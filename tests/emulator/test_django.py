"""A Django project behind Mangum, as its browser sees it."""

from __future__ import annotations

import zlib

import httpx

PROJECT = "django_mangum"


def test_a_form_needs_its_token_and_its_session_survives_the_redirect(browser: httpx.Client) -> None:
    token = browser.get("/form/").text
    assert browser.post("/sign-in/", data={"name": "ann"}).status_code == 403
    answer = browser.post("/sign-in/", data={"name": "ann", "csrfmiddlewaretoken": token})
    assert [each.headers["Location"] for each in answer.history] == ["/greet/"]
    assert answer.json() == {"name": "ann", "tags": []}


def test_a_missing_slash_is_added_with_the_query_kept(browser: httpx.Client) -> None:
    answer = browser.get("/form?a=%262", follow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (301, "/form/?a=%262")


def test_a_file_is_uploaded_unchanged(browser: httpx.Client) -> None:
    content = bytes(range(256)) * 300
    token = browser.get("/form/").text
    answer = browser.post("/files/", files={"file": ("b.bin", content)}, data={"csrfmiddlewaretoken": token})
    assert answer.json() == {"name": "b.bin", "crc": zlib.crc32(content)}


def test_a_download_has_every_byte(browser: httpx.Client) -> None:
    answer = browser.get("/download/")
    assert answer.content == bytes(range(256))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="bytes.bin"'
