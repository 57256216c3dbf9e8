"""A project with Powertools for AWS Lambda: its resolver, logger, metrics and validation."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx

from tests.emulator.harness import Emulator

PROJECT = "powertools"


def printed(emulator: Emulator, function: str) -> list[dict[str, Any]]:
    """The JSON lines that a function has printed so far, each with the request id of its invocation."""
    entries = emulator.get(f"/_emulator/logs?function={function}").json["entries"]
    found = []
    for entry in entries:
        first, *lines = entry["text"].splitlines()
        request_id = first.split()[2]
        found += [{**json.loads(line), "request_id": request_id} for line in lines if line.startswith("  {")]
    return found


def order(browser: httpx.Client, article: str) -> httpx.Response:
    return browser.post("/orders", json={"article": article, "count": 2})


def logged(browser: httpx.Client, emulator: Emulator, article: str) -> dict[str, Any]:
    """Order an article, and return the line that the logger wrote about it."""
    order(browser, article)
    return next(line for line in printed(emulator, "orders") if line.get("article") == article)


def test_the_resolver_validates_and_answers(browser: httpx.Client) -> None:
    assert order(browser, "pen").json() == {"article": "pen", "count": 2}
    refused = browser.post("/orders", json={"article": "pen", "count": 0})
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "count"])


def test_the_resolver_converts_the_path_and_answers_its_own_errors(browser: httpx.Client) -> None:
    assert browser.get("/orders/7").json() == {"number": 7}
    assert browser.get("/orders/seven").status_code == 422
    assert browser.get("/orders/100").json() == {"statusCode": 404, "message": "no such order"}


def test_only_the_first_invocation_of_an_environment_is_a_cold_start(
    browser: httpx.Client, framework: Emulator
) -> None:
    for article in ("one", "two", "three"):
        order(browser, article)
    cold = [line["cold_start"] for line in printed(framework, "orders") if "cold_start" in line]
    assert cold == [True] + [False] * (len(cold) - 1)
    assert len(cold) >= 3


def test_a_log_line_has_the_fields_of_the_context(browser: httpx.Client, framework: Emulator) -> None:
    line = logged(browser, framework, "context")
    assert (line["level"], line["message"], line["service"]) == ("INFO", "ordered", "shop")
    assert (line["function_name"], line["function_memory_size"]) == ("powertools-dev-orders", "192")
    assert line["function_arn"] == "arn:aws:lambda:eu-west-1:123456789012:function:powertools-dev-orders"
    assert line["function_request_id"] == line["request_id"]


def test_a_log_line_has_the_id_of_its_request_and_of_its_trace(browser: httpx.Client, framework: Emulator) -> None:
    trace = "1-67891233-abcdef012345678912345678"
    headers = {"X-Amzn-Trace-Id": f"Root={trace};Sampled=1"}
    answer = browser.post("/orders", json={"article": "ids", "count": 1}, headers=headers)
    line = next(line for line in printed(framework, "orders") if line.get("article") == "ids")
    assert line["correlation_id"] == answer.headers["Apigw-Requestid"]
    assert line["xray_trace_id"] == trace


def test_a_trace_id_of_another_form_is_replaced(browser: httpx.Client, framework: Emulator) -> None:
    browser.post("/orders", json={"article": "forged", "count": 1}, headers={"X-Amzn-Trace-Id": "Root=1-2-3"})
    line = next(line for line in printed(framework, "orders") if line.get("article") == "forged")
    assert re.fullmatch("1-[0-9a-f]{8}-[0-9a-f]{24}", line["xray_trace_id"])


def test_metrics_are_printed_once_for_each_invocation(browser: httpx.Client, framework: Emulator) -> None:
    line = logged(browser, framework, "metrics")
    metrics = [line for line in printed(framework, "orders") if "_aws" in line]
    assert [each["Ordered"] for each in metrics if each["request_id"] == line["request_id"]] == [[2.0]]
    cold = [each for each in metrics if "ColdStart" in each]
    assert [(each["ColdStart"], each["function_name"]) for each in cold] == [([1.0], "powertools-dev-orders")]
    assert cold[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Shop"


def test_a_json_schema_is_checked(browser: httpx.Client) -> None:
    assert browser.post("/stock", json={"article": "pen"}).json() == {"article": "pen"}
    refused = browser.post("/stock", json={"article": 7})
    assert (refused.status_code, refused.json()) == (400, {"wrong": "data.article must be string"})
