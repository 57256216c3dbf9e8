"""What people do on the page of a live classroom."""

import re

from playwright.sync_api import Locator, Page, expect

from tests.emulator.harness import ROOT, Emulator

PAGE = ("--page", str(ROOT / "examples" / "classroom.html"))
"""The options of an emulator that serves the page."""


def address(emulator: Emulator) -> str:
    """The page of an emulator."""
    return f"http://127.0.0.1:{emulator.port}/_emulator/classroom"


def person(page: Page, name: str) -> Locator:
    """The Teacher or the Student."""
    return page.get_by_role("region", name=name, exact=True)


def frames(person: Locator) -> Locator:
    """The frames that somebody sees."""
    return person.get_by_role("log").locator("li")


def state(person: Locator) -> Locator:
    """Whether somebody is connected."""
    return person.get_by_role("status")


def create(page: Page) -> str:
    """Create a session; its id."""
    page.get_by_role("button", name="Create session").click()
    field = page.get_by_label("Session id")
    expect(field).to_have_value(re.compile("[0-9a-f-]{36}"))
    return field.input_value()


def connect(*people: Locator) -> None:
    """Connect each, and wait until they are."""
    for one in people:
        one.get_by_role("button", name="Connect", exact=True).click()
        expect(state(one)).to_have_text("connected")


def say(person: Locator, kind: str, text: str) -> None:
    """Send a message of this type."""
    person.get_by_label("Message").select_option(kind)
    person.get_by_label("Text, or a JSON object").fill(text)
    person.get_by_role("button", name="Send", exact=True).click()
