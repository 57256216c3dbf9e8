"""The record of requests: the list, one request, sending it again, the stream and the commands, over real sockets."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from emulator.containers import Outcome
from emulator.service.request_book import RECORD_BYTES, Record, RequestBook
from tests.emulator.harness import Answer, Emulator, running, write_service
from tests.emulator.test_command_line import run

MANIFEST = """
service: seen
provider:
  name: aws
  runtime: python3.13
  httpApi:
    authorizers:
      guard:
        type: request
        functionName: guard
        identitySource: $request.header.Authorization
        enableSimpleResponses: true
functions:
  guard: {handler: app.guard}
  echo: {handler: app.echo, events: [{httpApi: "POST /echo/{id}"}, {httpApi: GET /echo}], url: true}
  closed: {handler: app.echo, events: [{httpApi: {method: GET, path: /closed, authorizer: {name: guard}}}]}
  fails: {handler: app.fails, events: [{httpApi: GET /fails}]}
"""
APP = """
calls = 0

def guard(event, context):
    return {"isAuthorized": event["identitySource"] == ["Bearer right"], "context": {"user": "ann", "cookie": "crumb"}}

def echo(event, context):
    global calls
    calls += 1
    print("printed \\x1b[31m<b>red</b>")
    headers = {"set-cookie": "session=s3cret"}
    return {"statusCode": 201, "headers": headers, "body": f"{calls} {event.get('body')}"}

def fails(event, context):
    raise ValueError("no \\ud800 <script>")
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    folder = write_service(tmp_path_factory.mktemp("requests") / "service", MANIFEST, app=APP)
    with running(folder) as started:
        yield started


def requests(emulator: Emulator, **query: object) -> Any:
    return emulator.get(f"/_emulator/requests?{urlencode(query)}").json


def newest(emulator: Emulator, **query: object) -> Any:
    """Everything about the newest request."""
    return emulator.get(f"/_emulator/requests/{requests(emulator)['last']}?{urlencode(query)}").json


def replay(emulator: Emulator, number: int, **changes: object) -> Answer:
    return emulator.post(f"/_emulator/requests/{number}/replay", changes)


def test_the_list_has_the_newest_request_first(served: Emulator) -> None:
    served.request("POST", "/echo/7?b=2&a=1", b"{}", [("Content-Type", "application/json")])
    served.get("/nowhere")
    second, first = requests(served, limit=2)["requests"]
    assert (first["method"], first["path"], first["status"], first["function"]) == (
        "POST",
        "/echo/7?b=2&a=1",
        201,
        "echo",
    )
    assert (second["path"], second["status"], second["function"], second["cold"]) == ("/nowhere", 404, None, False)
    assert second["id"] == first["id"] + 1 == requests(served)["last"]
    assert first["milliseconds"] > 0
    assert first["time"].endswith("Z")


def test_the_list_is_filtered_by_function_status_text_and_number(served: Emulator) -> None:
    begun = requests(served)["last"]
    served.request("POST", "/echo/7", b"A Needle")
    served.get("/fails")
    served.get("/nowhere/needle")

    def paths(**query: object) -> list[str]:
        return [one["path"] for one in requests(served, after=begun, **query)["requests"]]

    assert paths() == ["/nowhere/needle", "/fails", "/echo/7"]
    assert paths(function="echo") == paths(function="seen-dev-echo") == ["/echo/7"]
    assert paths(status="5xx,404") == ["/nowhere/needle", "/fails"]
    assert paths(text="NEEDLE") == ["/nowhere/needle", "/echo/7"]
    assert paths(text="valueerror") == ["/fails"]
    assert paths(text="printed", limit=1) == ["/echo/7"]
    assert requests(served, after=begun + 3)["requests"] == []


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("after=-1", "after"),
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        (f"limit={'9' * 30}", "limit"),
        ("status=6xx", "status"),
        ("status=40", "status"),
        ("state=404", "'state'"),
        ("limit=1&limit=2", "twice"),
    ],
)
def test_a_query_that_means_nothing_is_refused_by_name(served: Emulator, query: str, word: str) -> None:
    refused = served.get(f"/_emulator/requests?{query}")
    assert (refused.status, word in refused.json["message"]) == (400, True)


def test_what_is_not_kept_or_not_there_is_a_404(served: Emulator) -> None:
    assert served.get("/_emulator/requests?function=nobody").status == 404
    assert served.get("/_emulator/requests/999999").status == 404
    assert served.get("/_emulator/requests/0").status == 404
    assert served.get("/_emulator/requests/first").status == 400


def test_one_request_has_its_event_answer_log_spans_and_memory(served: Emulator) -> None:
    served.request("POST", "/echo/7?q=1", b"\xff", [("Content-Type", "image/png")])
    found = newest(served)
    assert (found["route"], found["api"]) == ("POST /echo/{id}", "httpApi")
    assert found["event"]["pathParameters"] == {"id": "7"}
    assert found["request"]["base64"] is True
    assert base64.b64decode(found["request"]["body"]) == b"\xff"
    assert found["answer"]["status"] == 201
    assert found["answer"]["body"].endswith(" /w==")
    assert "START RequestId: " + found["request_id"] in found["log"]
    assert "printed \\x1b[31m<b>red</b>" in found["log"]
    spans = {one["name"]: one for one in found["spans"]}
    assert set(spans) - {"init"} == {"gateway", "queue", "handler"}
    assert all(
        one["start"] >= 0 and one["start"] + one["milliseconds"] <= found["milliseconds"] + 0.01
        for one in spans.values()
    )
    assert found["memory"]["limit"] == 1024


def test_a_cold_start_is_a_span_of_its_own(tmp_path: Path) -> None:
    with running(write_service(tmp_path / "service", MANIFEST, app=APP)) as emulator:
        emulator.get("/echo")
        assert (newest(emulator)["cold"], "init" in [one["name"] for one in newest(emulator)["spans"]]) == (True, True)
        emulator.get("/echo")
        assert newest(emulator)["cold"] is False


def test_a_failed_function_shows_its_error(served: Emulator) -> None:
    served.get("/fails")
    found = newest(served)
    assert (found["status"], found["fault"], found["error"]["errorType"]) == (500, "raised", "ValueError")
    assert "<script>" in found["error"]["errorMessage"]
    assert "Traceback" in found["log"]


def test_what_identifies_the_caller_is_masked_until_asked_for(served: Emulator) -> None:
    served.get("/echo?api_token=t0psecret", ("Authorization", "Bearer right"), ("Cookie", "a=cr0issant"))
    shown, told = json.dumps(newest(served)), json.dumps(newest(served, secrets=1))
    for secret in ("right", "cr0issant", "s3cret", "t0psecret"):
        assert (secret in shown, secret in told) == (False, True)
    assert ["Authorization", "****"] in newest(served)["request"]["headers"]
    assert "t0psecret" not in json.dumps(requests(served))


def test_the_authorizer_says_whether_and_why(served: Emulator) -> None:
    served.get("/closed", ("Authorization", "Bearer right"))
    found = newest(served)
    assert found["authorizer"] == {
        "name": "guard",
        "allowed": True,
        "reason": "",
        "principal": None,
        "values": {"user": "ann", "cookie": "****"},
    }
    assert "authorizer" in [one["name"] for one in found["spans"]]
    served.get("/closed", ("Authorization", "Bearer wrong"))
    refused = newest(served)
    assert (refused["status"], refused["authorizer"]["allowed"]) == (403, False)
    assert (refused["authorizer"]["reason"], refused["event"]) == ("the authorizer denied it", None)


def test_a_replay_sends_the_same_request_with_its_secrets(served: Emulator) -> None:
    served.get("/closed?x=1", ("Authorization", "Bearer right"), ("X-Two", "a"), ("X-Two", "b"))
    first = newest(served, secrets=1)
    again = served.request("POST", f"/_emulator/requests/{first['id']}/replay").json
    assert (again["id"], again["original"], again["status"]) == (first["id"] + 1, first["id"], 201)
    assert again["request"]["headers"] == [
        [name, "****" if name == "Authorization" else value] for name, value in first["request"]["headers"]
    ]
    assert again["event"]["headers"]["x-two"] == "a,b"


def test_a_replay_of_a_function_url_goes_to_its_function(served: Emulator) -> None:
    port = re.search(r"URL  http://[^ ]+:(\d+)", served.output())
    assert port
    other = Emulator.__new__(Emulator)
    other.port = int(port[1])
    other.get("/anything")
    again = replay(served, newest(served)["id"]).json
    assert (again["path"], again["api"], again["status"]) == ("/anything", "url", 201)


def test_a_replay_with_changes_keeps_what_was_masked(served: Emulator) -> None:
    served.get("/closed", ("Authorization", "Bearer right"))
    number = newest(served)["id"]
    headers = [["authorization", "****"], ["X-New", "1"]]
    made = replay(served, number, path="/closed?changed=1", headers=headers, method="GET").json
    assert (made["status"], made["path"], made["event"]["headers"]["x-new"]) == (201, "/closed?changed=1", "1")
    posted = replay(served, number, method="POST", path="/echo/8", body="aGk=", base64=True).json
    assert posted["answer"]["body"].endswith(" hi")
    assert ["content-length", "2"] in posted["request"]["headers"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"method": "get it"}, "method"),
        ({"path": "echo"}, "path"),
        ({"path": "/a b"}, "path"),
        ({"path": "/?token=****"}, "masked"),
        ({"headers": [["a b", "1"]]}, "header"),
        ({"headers": [["a", "1\r\nb: 2"]]}, "header"),
        ({"headers": [["Cookie", "****"]]}, "masked"),
        ({"body": "-", "base64": True}, "base64"),
        ({"bodies": ""}, "bodies"),
        ({"headers": "a: b"}, "headers"),
    ],
)
def test_changes_that_cannot_be_sent_are_refused(served: Emulator, changes: dict[str, object], word: str) -> None:
    served.get("/echo")
    last = requests(served)["last"]
    refused = replay(served, last, **changes)
    assert (refused.status, word in refused.json["message"]) == (400, True)
    assert requests(served)["last"] == last


def test_a_body_that_was_never_read_cannot_be_sent_again(served: Emulator) -> None:
    served.request("POST", "/nowhere", b"lost")
    found = newest(served)
    assert found["request"]["body_unread"] is True
    assert "before it read the body" in replay(served, found["id"]).json["message"]
    assert replay(served, found["id"], path="/echo/1", body="kept").json["answer"]["body"].endswith(" kept")


def test_the_book_is_bounded_in_number_and_in_bytes() -> None:
    book = RequestBook(3, 1)
    for number in range(1, 6):
        book.add(record())
        assert [one.number for one in book.newest_first()] == list(range(number, max(0, number - 3), -1))
    assert (book.get(2), getattr(book.get(3), "number", 0), book.get(6)) == (None, 3, None)
    book.add(record(b"x" * (1024 * 1024 - 2 * RECORD_BYTES)))
    assert [one.number for one in book.newest_first()] == [6, 5]
    book.add(record(b"x" * 1024 * 1024))
    assert (len(book), book.last) == (0, 7)


def test_nothing_is_kept_with_a_number_of_0(tmp_path: Path) -> None:
    with running(
        write_service(tmp_path / "service", MANIFEST, app=APP), "--inline", "--keep-requests", "0"
    ) as emulator:
        emulator.get("/echo")
        assert requests(emulator) == {"requests": [], "last": 1}
        assert "no request is kept" in emulator.get("/_emulator/requests/1").json["message"]


def test_the_stream_sends_each_request_and_resumes_after_the_last_one_seen(served: Emulator) -> None:
    begun = requests(served)["last"]
    with served.connect() as client:
        client.sendall(b"GET /_emulator/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        lines = client.makefile("r", encoding="utf-8", newline="\n")
        while next(lines) != ": requests\n":
            pass
        served.get("/echo?live=1")
        assert next_event(lines) == (f"id: {begun + 1}", "event: request", "/echo?live=1")
    served.get("/echo?live=2")
    with served.connect() as client:
        client.sendall(
            f"GET /_emulator/stream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {begun + 1}\r\n\r\n".encode()
        )
        assert next_event(client.makefile("r", encoding="utf-8", newline="\n")) == (
            f"id: {begun + 2}",
            "event: request",
            "/echo?live=2",
        )


def test_a_stream_that_saw_an_earlier_emulator_is_told_to_begin_anew(served: Emulator) -> None:
    with served.connect() as client:
        client.sendall(b"GET /_emulator/stream?after=99999 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        lines = client.makefile("r", encoding="utf-8", newline="\n")
        assert "event: reset\n" in (next(lines) for _ in range(20))
    assert served.get("/_emulator/stream?after=x").status == 400


def test_an_open_stream_does_not_delay_a_stop(tmp_path: Path) -> None:
    with (
        running(write_service(tmp_path / "service", MANIFEST, app=APP), "--inline") as emulator,
        emulator.connect() as client,
    ):
        client.sendall(b"GET /_emulator/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in client.recv(1024)
        assert emulator.stop() == 0
        assert client.makefile("rb").read().endswith(b"0\r\n\r\n")


def test_the_commands_list_show_and_send_again(served: Emulator) -> None:
    served.get(f"/echo?{quote('<i>')}")
    number, port = requests(served)["last"], ("--port", str(served.port))
    assert f"#{number}  " in run("requests", "--limit", "1", *port).stdout
    assert "GET     /echo?%3Ci%3E  201" in run("requests", "--function", "echo", "--status", "2xx", *port).stdout
    assert json.loads(run("requests", str(number), *port).stdout)["id"] == number
    again = run("resend", str(number), *port)
    assert (again.returncode, f"(#{number} again)" in again.stdout) == (0, True)
    missing = run("resend", "999999", *port)
    assert (missing.returncode, "no such request is kept" in missing.stderr) == (1, True)


def record(body: bytes = b"") -> Record:
    return Record("GET", "/", b"", [], [], 80, "127.0.0.1", 0.0, 0.0, body=body, outcome=Outcome(b""))


def next_event(lines: Iterator[str]) -> tuple[str, str, str]:
    """The id, the kind and the path of the next event."""
    line = next(lines)
    while not line.startswith("id:"):
        line = next(lines)
    return line.strip(), next(lines).strip(), json.loads(next(lines).removeprefix("data: "))["path"]


def test_whoever_waits_for_a_request_is_woken_by_it_and_by_the_end() -> None:
    async def waits() -> None:
        book = RequestBook()
        first, end = asyncio.ensure_future(book.wait(0)), asyncio.ensure_future(book.wait(1))
        await asyncio.sleep(0)
        book.add(record())
        await first
        assert not end.done()
        book.close()
        await end

    asyncio.run(waits())
