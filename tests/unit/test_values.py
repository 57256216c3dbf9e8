"""Clock, settings, identifiers and pages."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import clock, identifiers, paging
from shared.config import Settings
from shared.errors import ConfigurationError, InvalidRequestError
from tests.conftest import Freeze


def test_times_have_six_digits_and_a_z(freeze: Freeze) -> None:
    freeze("2026-11-22 07:24:11")
    assert clock.now() == "2026-11-22T07:24:11.000000Z"
    assert clock.ago(timedelta(days=1)) == "2026-11-21T07:24:11.000000Z"


def test_times_are_utc() -> None:
    moment = datetime(2026, 11, 22, 1, 2, 3, 45, timezone(timedelta(hours=2)))
    assert clock.render(moment) == "2026-11-21T23:02:03.000045Z"


@given(st.lists(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)), min_size=2, max_size=2))
def test_text_order_is_time_order(moments: list[datetime]) -> None:
    first, second = sorted(moments)
    assert clock.render(first) <= clock.render(second)


def test_durations_go_on_while_the_clock_is_frozen(freeze: Freeze) -> None:
    frozen = freeze("2026-11-22 07:24:11")
    before = clock.elapsed()
    frozen.tick(3600)
    assert 0 <= clock.elapsed() - before < 60


def test_settings_have_the_documented_defaults() -> None:
    assert Settings.from_environment({}) == Settings()
    assert Settings().retry_delay_seconds == 5
    assert Settings().busy_timeout_ms == 5000
    assert Settings().max_staleness_ms == 0


def test_settings_are_read_from_the_environment() -> None:
    environment = {
        "SWITCHBOARD_SYNCHRONOUS": "FULL",
        "SWITCHBOARD_RETRY_DELAY_SECONDS": "0.5",
        "SWITCHBOARD_QUEUE_SIZE": "",
    }
    settings = Settings.from_environment(environment)
    assert (settings.synchronous, settings.retry_delay_seconds, settings.queue_size) == ("FULL", 0.5, 1000)


def test_a_wrong_choice_is_told_the_right_ones() -> None:
    with pytest.raises(ConfigurationError, match="SWITCHBOARD_SYNCHRONOUS: must be one of NORMAL, FULL"):
        Settings.from_environment({"SWITCHBOARD_SYNCHRONOUS": "FUL"})


def test_a_misspelt_setting_is_noticed() -> None:
    environment = {"SWITCHBOARD_SYNCRONOUS": "FULL", "SWITCHBOARD_CACHE_SIZE": "1", "HOME": "/"}
    assert Settings.unknown(environment) == ["SWITCHBOARD_SYNCRONOUS"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SYNCHRONOUS", "OFF"),
        ("BUSY_TIMEOUT_MS", "soon"),
        ("BUSY_TIMEOUT_MS", "-1"),
        ("QUEUE_SIZE", "0"),
        ("CACHE_SIZE", "1.5"),
        ("MAX_STUDENTS", "0"),
        ("MAX_STUDENTS", "10001"),
        ("MAX_STALENESS_MS", "-1"),
        ("MAX_STALENESS_MS", "a minute"),
        ("WRITE_TIMEOUT_SECONDS", "inf"),
        ("RETRY_DELAY_SECONDS", "nan"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"SWITCHBOARD_{name}: "):
        Settings.from_environment({f"SWITCHBOARD_{name}": value})


def test_identifiers_are_in_the_order_of_time(freeze: Freeze) -> None:
    frozen = freeze("2026-11-22 07:24:11")
    first = identifiers.new_id()
    frozen.tick(0.001)
    assert first < identifiers.new_id()


@pytest.mark.parametrize("instant", ["0001-01-01", "1969-12-31 23:59:59.999", "1970-01-01", "2026-11-22", "9999-12-31"])
def test_identifiers_are_different_uuids_of_version_7_at_any_time(freeze: Freeze, instant: str) -> None:
    freeze(instant)
    made = [identifiers.new_id() for _ in range(1000)]
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in made} == {(7, uuid.RFC_4122)}
    assert made == [identifiers.canonical(one) for one in sorted(set(made))]


def test_an_identifier_begins_with_its_milliseconds(freeze: Freeze) -> None:
    freeze("2026-11-22 07:24:11.250")
    assert int(identifiers.new_id().replace("-", "")[:12], 16) == 1795332251250


def test_an_identifier_beyond_its_last_millisecond_is_still_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "unix_milliseconds", lambda: 2**48)
    assert uuid.UUID(identifiers.new_id()).version == 7


def test_identifiers_go_on_in_order_when_their_counter_overflows(
    freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze("2026-11-22 07:24:11")
    monkeypatch.setattr(identifiers, "_count", itertools.count(2**26 - 2))
    made = [identifiers.new_id() for _ in range(4)]
    assert made == sorted(made)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("01A203FA-ae13-754c-85a7-910fc6247e38", "01a203fa-ae13-754c-85a7-910fc6247e38"),
        ("{01a203fa-ae13-754c-85a7-910fc6247e38}", None),
        ("01a203faae13754c85a7910fc6247e38", None),
        ("01a203fa-ae13-754c-85a7-910fc6247e38\n", None),
        ("", None),
    ],
)
def test_canonical_identifiers(text: str, canonical: str | None) -> None:
    assert identifiers.canonical(text) == canonical


def test_a_cursor_comes_back_for_its_own_query() -> None:
    text = paging.cursor(("sessions", "active"), ("2026", "id"))
    assert paging.position(text, ("sessions", "active"), tuple[str, str]) == ("2026", "id")
    with pytest.raises(InvalidRequestError, match="other filters"):
        paging.position(text, ("sessions", "ended"), tuple[str, str])


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_other_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        paging.position(text, ("sessions",), tuple[str, str])


def test_a_page_ends_at_its_limit_or_its_size() -> None:
    assert paging.fitting(range(3), lambda _: 1, 3) == ([0, 1, 2], False)
    assert paging.fitting(range(4), lambda _: 1, 3) == ([0, 1, 2], True)
    assert paging.fitting(range(4), lambda _: paging.PAGE_BYTES // 2, 10) == ([0, 1], True)
    assert paging.fitting(range(2), lambda _: paging.PAGE_BYTES + 1, 10) == ([0], True)
    empty: range = range(0)
    assert paging.fitting(empty, lambda _: 1, 10) == ([], False)
