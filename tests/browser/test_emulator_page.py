"""The emulator's page in a real browser: every view, live, by keyboard, on a phone, and with hostile content."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.emulator.harness import Emulator, running, write_service
from tests.emulator.websockets_client import client, closing

MANIFEST = """
service: seen
provider:
  name: aws
  runtime: python3.13
  environment: {STAGE: dev, API_TOKEN: t0psecret, DATABASE: "sqlite:///page.db"}
  httpApi:
    authorizers:
      guard:
        type: request
        functionName: guard
        identitySource: $request.header.Authorization
        enableSimpleResponses: true
functions:
  guard: {handler: app.guard}
  echo: {handler: app.echo, events: [{httpApi: "* /echo"}, {httpApi: "* /echo/{id}"}]}
  closed: {handler: app.echo, events: [{httpApi: {method: GET, path: /closed, authorizer: {name: guard}}}]}
  fails: {handler: app.fails, events: [{httpApi: "POST /fails"}]}
  remember: {handler: app.remember, events: [{httpApi: GET /remember}]}
  chat: {handler: app.chat, events: [{websocket: $connect}, {websocket: $disconnect}, {websocket: $default}]}
  tick: {handler: app.tick, events: [{schedule: {name: every-hour, rate: rate(1 hour)}}]}
"""
APP = """
import json

def guard(event, context):
    return {"isAuthorized": event["identitySource"] == ["Bearer right"], "context": {"user": "ann"}}

def echo(event, context):
    print("looked at", event.get("body"))
    body = json.dumps({"got": event.get("body"), "query": event["rawQueryString"]})
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": body}

def fails(event, context):
    print(event["body"])
    raise ValueError(event["body"])

def remember(event, context):
    import sqlite3
    database = sqlite3.connect("page.db", isolation_level=None)
    database.execute("CREATE TABLE IF NOT EXISTS seen (query TEXT)")
    database.execute("INSERT INTO seen VALUES (?)", [event["rawQueryString"]])
    return str(database.execute("SELECT count(*) FROM seen").fetchone()[0])

def chat(event, context):
    return {"statusCode": 200}

def tick(event, context):
    return {"ticked": event["detail-type"]}
"""
HOSTILE = "<img src=x onerror='document.title=1'></pre><script>document.title=1</script>\x1b[31m\u202e\x07"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    folder = write_service(tmp_path_factory.mktemp("page") / "service", MANIFEST, app=APP)
    with running(folder) as started:
        yield started


@pytest.fixture
def opened(served: Emulator, new_page: Callable[..., Page]) -> Iterator[Callable[..., Page]]:
    """Opens an address of the page; the test fails if the page wrote an error to the console."""
    errors: list[str] = []

    def open_at(address: str = "", **options: object) -> Page:
        page = new_page(**options)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(f"http://127.0.0.1:{served.port}/_emulator/{address}")
        expect(page.locator("#live")).to_have_text("live")
        return page

    yield open_at
    assert errors == []


def last(served: Emulator) -> int:
    return int(served.get("/_emulator/requests?limit=1").json["last"])


def rows(page: Page) -> Locator:
    return page.get_by_role("listbox").get_by_role("option")


def block(page: Page, title: str) -> Locator:
    """The part of one request with this title."""
    return page.locator("section.block").filter(has=page.get_by_role("heading", name=title, exact=True))


def test_requests_appear_by_themselves_the_newest_first(served: Emulator, opened: Callable[..., Page]) -> None:
    page = opened()
    served.get("/echo?n=1")
    served.get("/nowhere/2")
    expect(rows(page).first).to_contain_text("/nowhere/2")
    expect(rows(page).nth(1)).to_contain_text("/echo?n=1")
    expect(rows(page).first).to_contain_text("404")


def test_one_request_shows_answer_log_event_and_where_the_time_went(
    served: Emulator, opened: Callable[..., Page]
) -> None:
    served.post("/echo/7?n=1", {"a": 1})
    page = opened(f"#/requests/{last(served)}")
    expect(page.locator(".detail h2")).to_have_text("POST /echo/7?n=1")
    expect(block(page, "Answer")).to_contain_text('"query": "n=1"')
    expect(block(page, "Log")).to_contain_text('looked at {"a": 1}')
    page.get_by_text("As the function received it").click()
    expect(block(page, "Event")).to_contain_text('"id": "7"')
    expect(block(page, "Where the time went")).to_contain_text("handler")
    assert page.locator(".bar[data-name=gateway]").bounding_box()["width"] > 100  # type: ignore[index]


def test_the_authorizers_answer_is_shown_and_secrets_are_masked_until_asked_for(
    served: Emulator, opened: Callable[..., Page]
) -> None:
    served.get("/closed", ("Authorization", "Bearer wrong"))
    page = opened(f"#/requests/{last(served)}")
    expect(block(page, "Authorizer")).to_contain_text("guard refused the request: the authorizer denied it")
    headers = block(page, "Request").get_by_text("Headers")
    headers.click()
    expect(block(page, "Request")).to_contain_text("****")
    expect(page.locator("body")).not_to_contain_text("Bearer wrong")
    page.get_by_role("button", name="Show secrets").click()
    headers.click()
    expect(block(page, "Request")).to_contain_text("Bearer wrong")


def test_replay_sends_the_request_again(served: Emulator, opened: Callable[..., Page]) -> None:
    served.get("/closed?again=1", ("Authorization", "Bearer right"))
    page = opened(f"#/requests/{last(served)}")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("repeats #")).to_be_visible()
    expect(page.locator(".detail .status")).to_have_text("200")
    assert page.url.endswith(f"#/requests/{last(served)}")


def test_edit_and_send_changes_what_was_edited_and_keeps_the_rest(
    served: Emulator, opened: Callable[..., Page]
) -> None:
    served.request("POST", "/echo", b"old", [("Cookie", "kept=1"), ("X-Kind", "a")])
    page = opened(f"#/requests/{last(served)}")
    page.get_by_role("button", name="Edit and send").click()
    page.get_by_label("Path").fill("/echo?edited=1")
    page.get_by_label("Body").fill("new\nbody")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(block(page, "Answer")).to_contain_text('"got": "new\\nbody"')
    sent = served.get(f"/_emulator/requests/{last(served)}?secrets=1").json["request"]["headers"]
    assert ["Cookie", "kept=1"] in sent
    assert ["X-Kind", "a"] in sent


def test_an_edit_that_cannot_be_sent_says_why(served: Emulator, new_page: Callable[..., Page]) -> None:
    served.get("/echo")
    page = new_page()
    page.goto(f"http://127.0.0.1:{served.port}/_emulator/#/requests/{last(served)}")
    page.get_by_role("button", name="Edit and send").click()
    page.get_by_label("Path").fill("echo")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("the path begins with /")


@pytest.mark.parametrize("body", ['it\'s $HOME `x` \\ "q" \u00fc\n\ttab', "nul\x00 and \x1b", ""])
def test_the_curl_command_sends_the_same_request(served: Emulator, opened: Callable[..., Page], body: str) -> None:
    headers = [("X-Quote", "it's"), ("Content-Type", "text/plain")]
    served.request("POST", "/echo/a'b?x=[1]&y=$z", body.encode(), headers)
    one = served.get(f"/_emulator/requests/{last(served)}").json
    page = opened(f"#/requests/{one['id']}", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.locator("#notice")).to_have_text("Copied the curl command")
    subprocess.run(["bash", "-c", page.evaluate("navigator.clipboard.readText()")], check=True, capture_output=True)
    again = served.get(f"/_emulator/requests/{last(served)}").json
    assert again["id"] > one["id"]
    assert [again[key] for key in ("method", "path")] == [one[key] for key in ("method", "path")]
    assert again["request"]["body"] == one["request"]["body"]
    assert all(list(header) in again["request"]["headers"] for header in headers)


def test_the_copied_invocation_and_the_copied_test_run(
    served: Emulator, opened: Callable[..., Page], tmp_path: Path
) -> None:
    served.request("POST", "/echo/7?n='1'", "it's \u2028 \\".encode())
    page = opened(f"#/requests/{last(served)}", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="as invoke").click()
    expect(page.locator("#notice")).to_have_text("Copied the command")
    command = page.evaluate("navigator.clipboard.readText()").replace("python ", f"'{sys.executable}' ", 1)
    command += f" --manifest '{served.folder / 'serverless.yml'}'"
    ran = subprocess.run(["bash", "-c", command], check=True, capture_output=True, text=True)
    assert json.loads(json.loads(ran.stdout)["body"])["got"] == "it's \u2028 \\"
    page.get_by_role("button", name="as a test").click()
    expect(page.locator("#notice")).to_have_text("Copied the test")
    (tmp_path / "test_copied.py").write_text(page.evaluate("navigator.clipboard.readText()"), encoding="utf-8")
    pytest_run = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path / "test_copied.py")]
    tested = subprocess.run(pytest_run, cwd=served.folder, capture_output=True, text=True, check=False)
    assert "1 passed" in tested.stdout, tested.stdout


def test_a_filter_is_part_of_the_address(served: Emulator, opened: Callable[..., Page]) -> None:
    served.get("/echo?filter=1")
    served.get("/nowhere?filter=1")
    served.post("/fails", {"needle": 1})
    page = opened()
    page.get_by_label("Status").select_option("Errors")
    expect(rows(page).filter(has_text="/echo")).to_have_count(0)
    page.get_by_label("Function").select_option("fails")
    page.get_by_label("Search").fill("NEEDLE")
    expect(page).to_have_url(re.compile("text=NEEDLE"))
    expect(rows(page)).to_have_count(1)
    page.reload()
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_label("Search")).to_have_value("NEEDLE")
    expect(page.get_by_label("Function")).to_have_value("fails")
    served.post("/fails", {"Needle": 2})
    expect(rows(page)).to_have_count(2)


def test_errors_come_first_on_demand(served: Emulator, opened: Callable[..., Page]) -> None:
    served.get("/nowhere/first")
    served.get("/echo?second=1")
    page = opened()
    expect(rows(page).first).to_contain_text("/echo?second=1")
    page.get_by_label("Errors first").check()
    expect(rows(page).first).to_contain_text("/nowhere/first")
    served.get("/echo?third=1")
    served.get("/nowhere/fourth")
    expect(rows(page).first).to_contain_text("/nowhere/fourth")


def test_the_keyboard_alone_is_enough(served: Emulator, opened: Callable[..., Page]) -> None:
    served.get("/echo?key=1")
    served.get("/echo?key=2")
    page = opened()
    page.keyboard.press("/")
    page.keyboard.type("key=")
    expect(rows(page)).to_have_count(2)
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".detail h2")).to_have_text("GET /echo?key=2")
    page.keyboard.press("j")
    expect(page.locator(".detail h2")).to_have_text("GET /echo?key=1")
    expect(rows(page).nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.locator(".detail")).to_be_focused()
    page.keyboard.press("r")
    expect(page.get_by_text("repeats #")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".detail")).to_be_hidden()
    page.keyboard.press("2")
    expect(page.get_by_text("7 functions of serverless.yml")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()


def test_dark_and_light_follow_the_system(served: Emulator, opened: Callable[..., Page]) -> None:
    def brightness(scheme: str) -> int:
        colour = opened(color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        return int(re.findall(r"\d+", colour)[0])

    assert brightness("dark") < 60
    assert brightness("light") > 200


@pytest.mark.parametrize(
    "address",
    [
        "",
        "#/requests/1",
        "#/functions",
        "#/functions/echo",
        "#/schedules",
        "#/connections",
        "#/clock",
        "#/faults",
        "#/recordings",
    ],
)
def test_a_phones_width_is_enough(served: Emulator, opened: Callable[..., Page], address: str) -> None:
    served.get(f"/echo?{'wide' * 100}")
    page = opened(address, viewport={"width": 360, "height": 640})
    expect(page.locator("#view > *").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator("main").evaluate("main => main.scrollWidth") <= 360


def test_on_a_phone_the_request_takes_the_place_of_the_list(served: Emulator, opened: Callable[..., Page]) -> None:
    served.get("/echo?phone=1")
    page = opened(viewport={"width": 360, "height": 640})
    rows(page).first.click()
    expect(page.locator(".detail h2")).to_have_text("GET /echo?phone=1")
    expect(page.get_by_role("listbox")).to_be_hidden()
    page.get_by_role("button", name="Back to the list").click()
    expect(rows(page).first).to_be_visible()


def test_ten_thousand_requests_are_a_few_rows_of_the_document(served: Emulator, opened: Callable[..., Page]) -> None:
    def many(route: Route) -> None:
        one = {"time": "2026-11-22T08:00:00.000Z", "method": "GET", "status": 200, "function": "echo"}
        found = [{"id": n, "path": f"/{n}", "milliseconds": 1, "cold": False, **one} for n in range(10_000, 0, -1)]
        route.fulfill(json={"requests": found, "last": 10_000})

    page = opened()
    page.route("**/requests?*", many)
    page.reload()
    expect(page.locator("#count")).to_have_text("10,000 requests")
    assert rows(page).count() < 100
    # Again and again: on a slow machine the list may still be growing.
    page.wait_for_function("""() => {
      const list = document.querySelector('[role=listbox]');
      list.scrollTop = list.scrollHeight;
      return document.querySelector('#row-1') !== null;
    }""")
    expect(page.locator("#row-1")).to_be_in_viewport()
    assert rows(page).count() < 100


def test_hostile_content_is_only_ever_text(served: Emulator, opened: Callable[..., Page]) -> None:
    headers = [("X-Evil", "<b onclick=alert(1)>"), ("Content-Type", "text/html")]
    served.request("POST", "/fails?<script>document.title=1</script>", HOSTILE.encode(), headers)
    page = opened(f"#/requests/{last(served)}")
    for summary in page.locator("summary").all():
        summary.click()
    expect(page.locator(".callout strong")).to_contain_text("ValueError: <img src=x onerror=")
    expect(page.locator(".callout strong")).to_contain_text("\\u001b[31m\\u202e\\u0007")
    expect(block(page, "Log")).to_contain_text("<script>document.title=1</script>")
    assert page.locator("#view img, #view script, #view b").count() == 0
    assert page.title() == "seen"


def test_six_megabytes_and_half_characters_are_shown(served: Emulator, opened: Callable[..., Page]) -> None:
    served.post("/fails", "\ud800 half")
    page = opened(f"#/requests/{last(served)}")
    expect(page.locator(".callout strong")).to_contain_text("half")
    served.request("POST", "/echo", b"<i>" * 2_000_000, [("Content-Type", "text/plain")])
    page.goto(f"{page.url.partition('#')[0]}#/requests/{last(served)}")
    more = block(page, "Request").get_by_role("button", name="Show all 6,000,000 characters")
    more.click()
    expect(more).to_be_hidden()
    assert block(page, "Request").locator("pre").first.evaluate("shown => shown.textContent.length") == 6_000_000


def test_what_is_not_text_is_shown_in_base64(served: Emulator, opened: Callable[..., Page]) -> None:
    served.request("POST", "/echo", b"\xff\x00", [("Content-Type", "image/png")])
    page = opened(f"#/requests/{last(served)}")
    expect(block(page, "Request")).to_contain_text(base64.b64encode(b"\xff\x00").decode())


def test_a_function_is_described_and_invoked_with_a_sample(served: Emulator, opened: Callable[..., Page]) -> None:
    page = opened("#/functions/echo")
    expect(page.get_by_label("Event", exact=True)).to_have_value(re.compile('"routeKey": "ANY /echo"'))
    expect(block(page, "Environment")).to_contain_text("****")
    expect(page.locator("body")).not_to_contain_text("t0psecret")
    page.get_by_label("Sample event").select_option("ANY /echo/{id}")
    page.get_by_role("button", name="Invoke").click()
    expect(page.get_by_text("The function answered after")).to_be_visible()
    expect(page.get_by_label("Log")).to_contain_text("looked at")
    expect(page.locator(".detail [data-figures=echo]")).to_contain_text("1 idle")


def test_an_invocation_that_fails_shows_its_error(served: Emulator, opened: Callable[..., Page]) -> None:
    page = opened("#/functions/fails")
    page.get_by_label("Sample event").select_option("an empty event")
    page.get_by_role("button", name="Invoke").click()
    expect(page.get_by_label("Answer")).to_contain_text('"errorType": "KeyError"')


def test_a_schedule_says_when_it_is_next_and_runs_now(served: Emulator, opened: Callable[..., Page]) -> None:
    page = opened("#/schedules")
    expect(page.locator("tbody time")).to_have_count(1)
    page.get_by_role("button", name="Run every-hour now").click()
    expect(page.get_by_label("Answer")).to_contain_text('"ticked": "Scheduled Event"')


def test_the_clock_is_frozen_advanced_and_put_back(served: Emulator, opened: Callable[..., Page]) -> None:
    page = opened("#/clock")
    page.get_by_label("Time in UTC").fill("2030-01-01T08:00Z")
    page.get_by_role("button", name="Set").click()
    expect(page.locator(".now")).to_contain_text("2030-01-01 08:00")
    page.get_by_role("button", name="Freeze").click()
    expect(page.get_by_text("Frozen")).to_be_visible()
    page.get_by_role("button", name="+ 1 hour").click()
    expect(page.locator("tbody")).to_contain_text("every-hour")
    page.get_by_role("button", name="Back to real time").click()
    expect(page.get_by_text("The system's time.")).to_be_visible()


def test_messages_of_a_connection_are_shown_sent_and_the_connection_closed(
    served: Emulator, opened: Callable[..., Page]
) -> None:
    page = opened("#/connections")
    expect(page.get_by_text("No open connection")).to_be_visible()
    with client(served) as connection:
        connection.send('{"text": "<b>hello</b>"}')
        page.locator(".entry").click()
        expect(page.get_by_label("Message", exact=True)).to_contain_text("<b>hello</b>")
        page.get_by_label("Message to the client").fill("from the page")
        page.get_by_role("button", name="Send").click()
        assert connection.recv(30) == "from the page"
        expect(page.locator(".frame[data-direction=out]")).to_contain_text("from the page")
        page.get_by_role("button", name="Close the connection").click()
        assert closing(connection) == (1000, "")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()


def test_a_fault_is_added_happens_and_is_removed(served: Emulator, opened: Callable[..., Page]) -> None:
    page = opened("#/faults")
    page.get_by_label("Fault").select_option("error: answer with a status instead")
    page.get_by_label("Of the function").select_option("function echo")
    page.get_by_label("Status of an error").fill("418")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("tbody")).to_contain_text("status 418")
    assert served.get("/echo").status == 418
    page.goto(f"{page.url.partition('#')[0]}#/requests/{last(served)}")
    expect(page.locator(".detail")).to_contain_text("fault: error")
    page.goto(f"{page.url.partition('#')[0]}#/faults")
    expect(page.locator("tbody")).to_contain_text("1 times")
    page.get_by_role("button", name="Remove error of echo").click()
    expect(page.get_by_text("Nothing goes wrong on purpose")).to_be_visible()
    assert served.get("/echo").status == 200


def test_a_fault_that_cannot_be_set_says_why(served: Emulator, new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.goto(f"http://127.0.0.1:{served.port}/_emulator/#/faults")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("alert")).to_contain_text("milliseconds: a latency needs them")


def test_a_recording_is_downloaded(served: Emulator, opened: Callable[..., Page]) -> None:
    served.get("/echo?kept=1")
    page = opened("#/recordings")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the recording").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert json.loads(lines[-1])["path"] == "/echo?kept=1"


def test_a_snapshot_is_saved_and_loaded(served: Emulator, opened: Callable[..., Page]) -> None:
    served.get("/remember?first=1")
    page = opened("#/recordings")
    page.get_by_label("Name of the snapshot").fill("one")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("tbody")).to_contain_text("DATABASE (sqlite)")
    served.get("/remember?second=1")
    page.get_by_role("button", name="Load one").click()
    expect(page.locator("#notice")).to_have_text("Loaded one")
    assert served.get("/remember?third=1").body == b"2"


def test_an_emulator_that_was_started_again_is_noticed(tmp_path: Path, new_page: Callable[..., Page]) -> None:
    folder = write_service(tmp_path / "service", MANIFEST, app=APP)
    page = new_page()
    with running(folder, "--inline") as first:
        for _ in range(3):
            first.get("/echo?before=1")
        page.goto(f"http://127.0.0.1:{first.port}/_emulator/")
        expect(rows(page)).to_have_count(3)
    expect(page.locator("#live")).to_have_text("waiting for the emulator")
    with running(folder, "--inline", "--port", str(first.port)) as second:
        second.get("/echo?after=1")
        expect(rows(page)).to_have_count(1, timeout=30_000)
        expect(rows(page)).to_contain_text("/echo?after=1")
        second.get("/echo?after=2")
        expect(rows(page)).to_have_count(2)


def test_no_other_page_may_show_it_in_a_frame(served: Emulator) -> None:
    policy = served.get("/_emulator/").header("content-security-policy")
    assert policy == "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    assert served.get("/_emulator").header("location") == "/_emulator/"
