"""A Flask project of the plugin serverless-wsgi: its handler is the plugin's, and it is behind both kinds of API."""

from __future__ import annotations

import httpx
import pytest

PROJECT = "flask_serverless_wsgi"
APIS = pytest.mark.parametrize("prefix", ["", "/dev"])


@APIS
def test_a_page_is_served(browser: httpx.Client, prefix: str) -> None:
    answer = browser.post(f"{prefix}/hello/ann", json={"text": "ä"})
    assert (answer.status_code, answer.json()) == (201, {"greeting": "hello", "name": "ann", "text": "ä"})


@APIS
def test_a_redirect_stays_within_the_api(browser: httpx.Client, prefix: str) -> None:
    answer = browser.get(f"{prefix}/")
    assert [each.headers["Location"] for each in answer.history] == [f"{prefix}/hello/ann"]
    assert answer.json()["name"] == "ann"


@APIS
def test_a_download_has_every_byte_and_every_cookie(browser: httpx.Client, prefix: str) -> None:
    answer = browser.get(f"{prefix}/download", headers={"Accept": "application/octet-stream"})
    assert answer.content == bytes(range(256))
    assert {"one", "two"} <= set(browser.cookies)


@APIS
def test_an_unknown_page_is_the_application_s(browser: httpx.Client, prefix: str) -> None:
    answer = browser.get(f"{prefix}/nowhere")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
