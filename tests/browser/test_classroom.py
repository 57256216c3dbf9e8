"""The page of a live classroom, in a browser: a whole class against the service, and what any server may send it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.classroom import PAGE, address, connect, create, frames, person, say, state
from tests.emulator.harness import Emulator, eventually
from tests.emulator.test_identity import running_with_identity, start


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The service in an emulator that serves the page."""
    emulator = start(tmp_path_factory.mktemp("classroom"), "workers", *PAGE)
    yield emulator
    emulator.stop()


@pytest.fixture
def opened(page: Page, service: Emulator) -> Page:
    """The page, as somebody opens it first."""
    page.goto(address(service))
    return page


def refreshed(page: Page) -> str:
    """What the page says of the session, asked for again."""
    with page.expect_response("**/api/sessions/*"):
        page.get_by_role("button", name="Refresh").click()
    return page.locator("#about").inner_text()


def test_a_class_from_its_beginning_to_its_end(opened: Page) -> None:
    teacher, student = person(opened, "Teacher"), person(opened, "Student")
    session = create(opened)
    connect(teacher, student)
    for one in (teacher, student):
        expect(frames(one).filter(has_text="history_complete").first).to_be_visible()
    expect(opened.locator("#about")).to_have_text("Fractions · active · 2 connected · ann, bob")
    say(teacher, "request", "What is 1/2 + 1/4?")
    expect(frames(student).filter(has_text="ms_noether → ann")).to_contain_text('"text": "What is 1/2 + 1/4?"')
    say(student, "request_response", '{"text": "3/4", "sure": true}')
    expect(frames(teacher).filter(has_text="ann → the instructors")).to_contain_text('"sure": true')
    say(teacher, "instructor_broadcast", "Well done")
    expect(frames(student).last).to_contain_text("ms_noether → all students")
    opened.get_by_role("button", name="End session").click()
    for one in (teacher, student):
        expect(state(one)).to_have_text("Session ended by instructor")
        expect(frames(one).filter(has_text="session_ended").first).to_be_visible()
        expect(one.get_by_role("button", name="Connect", exact=True)).to_be_enabled()
    eventually(lambda: refreshed(opened).startswith("Fractions · ended · 0 connected"))
    assert session in opened.url  # the address can be kept and sent


def test_a_refused_handshake_says_why_and_is_not_repeated(opened: Page) -> None:
    create(opened)
    student = person(opened, "Student")
    student.get_by_label("User id").fill("eve")
    student.get_by_role("button", name="Connect").click()
    expect(student.get_by_role("alert")).to_have_text("403 unauthorized: user not authorized for this session")
    expect(state(student)).to_have_text("refused")
    expect(student.get_by_role("button", name="Connect", exact=True)).to_be_enabled()


def test_a_refused_frame_is_an_error_beside_it(opened: Page) -> None:
    create(opened)
    student = person(opened, "Student")
    connect(student)
    student.get_by_text("Send a frame of your own").click()
    student.get_by_label("Frame", exact=True).fill("no JSON")
    student.get_by_role("button", name="Send frame").click()
    expect(student.get_by_role("alert")).to_contain_text("Message could not be delivered")
    expect(frames(student).filter(has_text="message_error")).to_have_class("fault")
    expect(state(student)).to_have_text("connected")


def test_the_same_user_elsewhere_replaces_a_connection(
    opened: Page, new_page: Callable[..., Page], service: Emulator
) -> None:
    session = create(opened)
    connect(person(opened, "Student"))
    other = new_page()
    other.goto(f"{address(service)}?session={session}")
    connect(person(other, "Student"))
    expect(state(person(opened, "Student"))).to_have_text("Connection replaced by new instance")
    expect(state(person(other, "Student"))).to_have_text("connected")


def test_a_class_with_verified_callers(page: Page, tmp_path: Path) -> None:
    with running_with_identity(tmp_path, "workers", *PAGE) as emulator:
        page.goto(address(emulator))
        teacher, student = person(page, "Teacher"), person(page, "Student")
        page.get_by_role("button", name="Create session").click()
        expect(page.locator("#session-error")).to_have_text("401: Unauthorized")
        for one in (teacher, student):
            one.get_by_text("Token, if callers are verified").click()
            one.get_by_role("button", name="Get one from the emulator").click()
            expect(one.get_by_label("Token")).not_to_have_value("")
        create(page)
        connect(teacher, student)
        say(student, "instructor_inbox", "May I ask?")
        expect(frames(teacher).last).to_contain_text("May I ask?")
        student.get_by_role("button", name="Disconnect").click()
        student.get_by_label("Token").fill("forged")
        student.get_by_role("button", name="Connect", exact=True).click()
        expect(student.get_by_role("alert")).to_contain_text("401")
        expect(state(student)).to_have_text("refused")


class Sockets:
    """A server of WebSockets in the browser itself; `answer` is called with each connection."""

    def __init__(self, page: Page, answer: Callable[[WebSocketRoute], None]) -> None:
        self.opened: list[WebSocketRoute] = []
        self.received: list[str | bytes] = []
        self.answer = answer
        page.route_web_socket(re.compile("/ws"), self._open)

    def _open(self, socket: WebSocketRoute) -> None:
        self.opened.append(socket)
        socket.on_message(lambda text: self.received.append(text))
        self.answer(socket)


HOSTILE: list[tuple[str, str]] = [
    (
        '{"type": "<img src=x onerror=alert(1)>", "from_user": "<b>ann</b>", "content": {}}',
        "<img src=x onerror=alert(1)>",
    ),
    ('{"type": "request", "content": {"text": "<script>alert(1)</script>"}}', "<script>alert(1)</script>"),
    (
        '{"type": "request", "content": {"text": "a\u202eb\u2066c\u200d\u0000d"}}'.replace("\0", ""),
        r"a\u{202e}b\u{2066}c",
    ),
    (json.dumps({"type": "request", "content": {"text": "\ud800 \x1b[31m"}}), r"\ud800 \u001b[31m"),
    ('{"type": "system", "content": null, "context": "strange"}', "strange"),
    ('{"type": "system", "content": {"event": {"toString": 1}}}', "toString"),
    ("[1, 2", "no JSON object"),
    ("[1, 2]", "no JSON object"),
    ('{"type": "request", "content": {"text": "' + "x" * 200_000 + '"}}', "more characters"),
]


@pytest.mark.parametrize(("text", "seen"), HOSTILE, ids=range(len(HOSTILE)))
def test_a_frame_is_shown_as_text_whatever_it_holds(opened: Page, text: str, seen: str) -> None:
    Sockets(opened, lambda socket: socket.send(text))
    create(opened)
    opened.on("dialog", lambda _: pytest.fail("a script of a frame ran"))
    student = person(opened, "Student")
    connect(student)
    expect(frames(student).last).to_contain_text(seen)
    assert student.get_by_role("log").locator("img, script, b b").count() == 0


def test_a_binary_frame_is_shown_by_its_size(opened: Page) -> None:
    Sockets(opened, lambda socket: socket.send(b"12345"))
    create(opened)
    connect(person(opened, "Student"))
    expect(frames(person(opened, "Student")).last).to_contain_text("a binary frame5 bytes")


def test_only_the_latest_frames_are_kept(opened: Page) -> None:
    def flood(socket: WebSocketRoute) -> None:
        for number in range(520):
            socket.send(json.dumps({"type": "analytics", "content": {"number": number}}))

    Sockets(opened, flood)
    create(opened)
    student = person(opened, "Student")
    connect(student)
    expect(frames(student).last).to_contain_text('"number": 519')
    expect(frames(student)).to_have_count(500)
    student.get_by_role("log").scroll_into_view_if_needed()
    expect(frames(student).last).to_be_in_viewport()  # the list has followed its newest frame


def test_a_lost_connection_is_opened_again_and_a_session_that_ended_is_not(opened: Page) -> None:
    sockets = Sockets(opened, lambda _: None)
    create(opened)
    student = person(opened, "Student")
    opened.clock.install()
    connect(student)
    sockets.opened[0].close(code=1001, reason="Going away")
    expect(state(student)).to_have_text("attempt 1 of 5 in 1 s")
    expect(frames(student).last).to_contain_text("code 1001: Going away")
    opened.clock.run_for(1000)
    expect(state(student)).to_have_text("connected")
    sockets.opened[1].send('{"type": "system", "content": {"event": "session_ended", "reason": "It is late"}}')
    expect(state(student)).to_have_text("It is late")
    opened.clock.run_for(60_000)
    assert len(sockets.opened) == 2


def test_after_five_attempts_the_page_gives_up(opened: Page) -> None:
    sockets = Sockets(opened, lambda _: None)
    create(opened)
    student = person(opened, "Student")
    opened.clock.install()
    connect(student)
    sockets.answer = lambda socket: socket.close(code=1006)
    sockets.opened[0].close(code=1006)
    for attempt, seconds in enumerate((1, 2, 4, 8, 16), 1):
        expect(state(student)).to_have_text(f"attempt {attempt} of 5 in {seconds} s")
        opened.clock.run_for(1000 * seconds)
    expect(state(student)).to_have_text("not connected, after 5 attempts")


def test_a_person_may_stop_waiting(opened: Page) -> None:
    sockets = Sockets(opened, lambda _: None)
    create(opened)
    student = person(opened, "Student")
    opened.clock.install()
    connect(student)
    sockets.opened[0].close(code=1001)
    expect(state(student)).to_have_text("attempt 1 of 5 in 1 s")
    student.get_by_role("button", name="Disconnect").click()
    opened.clock.run_for(60_000)
    expect(state(student)).to_have_text("not connected")
    assert len(sockets.opened) == 1


def test_what_is_sent_has_the_shape_of_a_message(opened: Page) -> None:
    sockets = Sockets(opened, lambda _: None)
    create(opened)
    teacher = person(opened, "Teacher")
    connect(teacher)
    say(teacher, "inbox_response", "Yes")
    say(teacher, "instructor_broadcast", '{"page": 3}')
    expect(frames(teacher).last).to_contain_text('"page": 3')
    sent: list[Any] = [json.loads(one) for one in sockets.received]
    assert sent == [
        {"type": "inbox_response", "context": "general", "content": {"text": "Yes"}, "to_user": "ann"},
        {"type": "instructor_broadcast", "context": "general", "content": {"page": 3}},
    ]


def test_a_session_that_does_not_exist_is_an_error_in_words(opened: Page) -> None:
    opened.get_by_role("button", name="End session").click()
    expect(opened.locator("#session-error")).to_have_text("There is no session to end.")
    opened.get_by_label("Session id").fill("nobody")
    opened.get_by_role("button", name="End session").click()
    expect(opened.locator("#session-error")).to_have_text("404 session_not_found: session not found")


def test_the_keyboard_is_enough(opened: Page) -> None:
    sockets = Sockets(opened, lambda _: None)

    def tab_to(name: str) -> None:
        for _ in range(40):
            opened.keyboard.press("Tab")
            if (
                opened.evaluate("document.activeElement.closest('label, button, summary, ol')?.textContent.trim()")
                == name
            ):
                return
        pytest.fail(f"no {name} is reached")

    tab_to("Create session")
    opened.keyboard.press("Enter")
    expect(opened.get_by_label("Session id")).not_to_have_value("")
    tab_to("Connect")
    opened.keyboard.press("Enter")
    expect(state(person(opened, "Teacher"))).to_have_text("connected")
    tab_to("Text, or a JSON object")
    opened.keyboard.type("Good morning")
    opened.keyboard.press("Enter")
    expect(frames(person(opened, "Teacher")).last).to_contain_text("Good morning")
    assert len(sockets.received) == 1


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_page_fits_every_width(new_page: Callable[..., Page], service: Emulator, width: int) -> None:
    page = new_page(viewport={"width": width, "height": 800})
    Sockets(page, lambda socket: socket.send(json.dumps({"type": "x" * 400, "content": {"text": "y" * 4000}})))
    page.goto(address(service))
    create(page)
    connect(person(page, "Student"))
    expect(frames(person(page, "Student"))).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


CONTRAST = """
() => {
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[0-9.]+/g).map((part) => part / 255)
      .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" && element.parentElement ? behind(element.parentElement) : colour;
  };
  return [...document.querySelectorAll("h1, h2, p, label, input, summary, button:enabled, .state, #about")]
    .filter((element) => element.checkVisibility())
    .map((element) => {
      const [one, other] = [luminance(getComputedStyle(element).color), luminance(behind(element))];
      return [(Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), element.outerHTML.slice(0, 80)];
    })
    .filter(([contrast]) => contrast < 4.5);
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_light_and_dark(
    new_page: Callable[..., Page], service: Emulator, scheme: str
) -> None:
    page = new_page(color_scheme=scheme)
    page.goto(address(service))
    assert page.evaluate(CONTRAST) == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"
    assert dark == (scheme == "dark")


def test_the_page_opens_from_a_link_of_another_site_and_in_no_frame_of_it(page: Page, service: Emulator) -> None:
    page.goto(f"data:text/html,<a href={address(service)}>open</a><iframe src={address(service)}></iframe>")
    expect(page.frame_locator("iframe").locator("body")).not_to_contain_text("A live classroom")
    page.get_by_text("open").click()
    expect(page.get_by_role("heading", name="A live classroom")).to_be_visible()
