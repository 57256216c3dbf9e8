"""From a school's claims to a user id and a role."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.config import LTI_ROLES, Settings
from shared.entities import Caller
from shared.identity.claims import ClaimMapping, user_id
from shared.rules import is_user_id

ROOT = Path(__file__).parents[2]
MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership"
PERSON = "http://purl.imsglobal.org/vocab/lis/v2/institution/person"


def role(**claims: Any) -> str:
    """The role that these claims give by default."""
    return ClaimMapping.of(Settings()).role(claims)


def caller(settings: Settings | None = None, **claims: Any) -> Caller | None:
    """The caller that these claims give."""
    return ClaimMapping.of(settings or Settings()).caller({"iss": "https://issuer.example"} | claims)


def hashed(name: str, issuer: str = "https://issuer.example") -> str:
    """The id, as the specification says it: by another tool than Python's own."""
    digest = subprocess.run(
        ["openssl", "dgst", "-sha256", "-binary"], input=f"{issuer}\n{name}".encode(), capture_output=True, check=True
    )
    encoded = subprocess.run(["base64", "-w0"], input=digest.stdout, capture_output=True, check=True).stdout.decode()
    return "u-" + encoded.translate(str.maketrans("+/", "-_", "="))


@pytest.mark.parametrize("name", ["ann", "A-1_b", "0", "x" * 50])
def test_a_user_id_stays_as_it_is(name: str) -> None:
    assert user_id("https://issuer.example", name) == name


@pytest.mark.parametrize("name", ["ann@school.example", "auth0|42", "x" * 51, "Zo\u00eb", " ann", "ann\n"])
def test_every_other_name_becomes_a_hash(name: str) -> None:
    assert user_id("https://issuer.example", name) == hashed(name)


def test_a_hash_is_a_user_id() -> None:
    assert is_user_id(hashed("ann@school.example"))


def test_issuers_have_users_of_their_own() -> None:
    assert user_id("https://one.example", "a@b") != user_id("https://two.example", "a@b")


def test_nobody_chooses_the_id_of_somebody_else() -> None:
    others = hashed("ann@school.example")
    assert user_id("https://issuer.example", others) != others


@pytest.mark.parametrize("claim", [None, "", 1.5, True, [], {}, ["ann"]])
def test_claims_without_a_user_name_nobody(claim: Any) -> None:
    assert caller(sub=claim) is None


def test_a_number_is_its_digits() -> None:
    assert caller(sub=42) == Caller("42", "student")


def test_another_claim_can_name_the_user() -> None:
    assert caller(Settings(user_claim="oid"), sub="x", oid="ann") == Caller("ann", "student")


@pytest.mark.parametrize(
    "claims",
    [
        {"roles": "teacher"},
        {"roles": ["student", "instructor"]},
        {"roles": "[student teacher]"},
        {"cognito:groups": ["teacher"]},
        {"cognito:groups": "[class-7 teacher]"},
        {LTI_ROLES: [f"{MEMBERSHIP}#Instructor"]},
        {LTI_ROLES: [f"{MEMBERSHIP}/Instructor#TeachingAssistant"]},
        {LTI_ROLES: [f"{PERSON}#Student", f"{MEMBERSHIP}#Administrator"]},
    ],
)
def test_an_instructor(claims: dict[str, Any]) -> None:
    assert role(**claims) == "instructor"


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"roles": None},
        {"roles": 7},
        {"roles": {"teacher": True}},
        {"roles": ["teacher "]},
        {"roles": "former teacher"},
        {"roles": "student,teacher"},
        {"roles": ["TEACHER", "instructors", "", 1, None, ["teacher"]]},
        {"role": "teacher"},
        {"groups": ["teacher"]},
        {LTI_ROLES: [f"{MEMBERSHIP}#Learner", f"{PERSON}#Instructor"]},
        {LTI_ROLES: [f"{MEMBERSHIP}#Instructor/x"]},
    ],
)
def test_everybody_else_is_a_student(claims: dict[str, Any]) -> None:
    assert role(**claims) == "student"


def test_a_school_names_its_own_roles() -> None:
    settings = Settings(role_claim="https://school.example/role", instructor_roles="Lehrkraft, Leitung")
    assert caller(settings, sub="x", **{"https://school.example/role": "Leitung"}) == Caller("x", "instructor")


def test_the_command_prints_an_id() -> None:
    command = [sys.executable, "-m", "shared.identity", "id", "https://issuer.example", "auth0|42"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (printed.stdout, printed.stderr) == (hashed("auth0|42") + "\n", "")
