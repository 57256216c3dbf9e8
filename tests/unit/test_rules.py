"""Forms and limits, at and beyond their edges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import errors, rules
from shared.entities import SessionFilter

FOUR_BYTES = "\N{MATHEMATICAL SCRIPT CAPITAL A}"


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "a" * 200,
        FOUR_BYTES * 200,
        " a ",
        "数学",
        "Français\u202f: 1",
        "\u3000算数",
        "\u0645\u06cc\u200c\u062e",
        "\U0001f469\u200d\U0001f3eb",
    ],
)
def test_names_that_pass(name: str) -> None:
    rules.check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "\u3000",
        "\u200d",
        "a" * 201,
        FOUR_BYTES * 201,
        "a\n",
        "a\x00",
        "\ta",
        "\x7f",
        "\u202ea",
        "\ud800",
        "a\u2028",
    ],
)
def test_names_that_do_not(name: str) -> None:
    with pytest.raises(errors.InvalidSessionNameError):
        rules.check_name(name)


@pytest.mark.parametrize("user_id", ["a", "A" * 50, "0_-z"])
def test_user_ids(user_id: str) -> None:
    assert rules.is_user_id(user_id)


@pytest.mark.parametrize("user_id", ["", "erased", "a" * 51, "a\n", "a b", "é", "٣", "a/b", "a%", "\x00", "a."])
def test_no_user_ids(user_id: str) -> None:
    assert not rules.is_user_id(user_id)


@given(st.text(max_size=60))
def test_a_user_id_is_what_the_contract_says_and_nothing_else(text: str) -> None:
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
    assert rules.is_user_id(text) == (1 <= len(text) <= 50 and set(text) <= allowed and text != "erased")


def test_the_wrong_student_is_named() -> None:
    with pytest.raises(errors.InvalidStudentIDError, match=r"student_ids\[1\] is 'b\\n'"):
        rules.check_students(("a", "b\n"), 2)


@pytest.mark.parametrize("role", ["", "Student", "teacher", "student\n"])
def test_roles(role: str) -> None:
    with pytest.raises(errors.InvalidRoleError):
        rules.check_role(role)


def test_content_size() -> None:
    rules.check_content(b"{" + b"x" * 65_535)
    with pytest.raises(errors.ContentTooLargeError):
        rules.check_content(b"{" + b"x" * 65_536)


@pytest.mark.parametrize("content", [b"", b"[]", b'"{}"', b"null", b"[" * 65_537])
def test_content_that_is_no_object(content: bytes) -> None:
    with pytest.raises(errors.InvalidContentError):
        rules.check_content(content)


@pytest.mark.parametrize("status", ["", "all", "Active", "active' OR 'a' = 'a"])
def test_a_filter_has_a_known_status(status: str) -> None:
    with pytest.raises(errors.InvalidRequestError):
        rules.check_filter(SessionFilter(status))


@pytest.mark.parametrize("people", [{"created_by": "a b"}, {"student_id": ""}])
def test_a_filter_has_user_ids(people: dict[str, str]) -> None:
    with pytest.raises(errors.InvalidUserIDError):
        rules.check_filter(SessionFilter(**people))
