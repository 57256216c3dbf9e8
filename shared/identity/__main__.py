"""`python -m shared.identity`: the ids of a school's users, and why a token is accepted or refused.

    python -m shared.identity id https://issuer.example 'auth0|42'    the user id for a roster
    python -m shared.identity explain TOKEN                           which claim gave what, and what is wrong
    python -m shared.identity explain -                               the same, the token on standard input

`explain` reads the service's settings from the environment. It exits with 0 for a token that is accepted, with 1 for
one that is refused, with 2 for a command or a setting that cannot be used.
"""

import argparse
import os
import sys
from collections.abc import Iterator

from shared.config import Settings, variable
from shared.errors import ConfigurationError, IdentityUnavailableError
from shared.identity import claims as mapping
from shared.identity.claims import ClaimMapping


def main(arguments: list[str] | None = None) -> int:
    """Run a command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m shared.identity", description="Who a token's bearer is, and why.")
    commands = parser.add_subparsers(dest="command", required=True)
    ids = commands.add_parser("id", help="print the user id of an issuer's user, for rosters")
    ids.add_argument("issuer")
    ids.add_argument("claim", help="the value of the user claim")
    explain = commands.add_parser("explain", help="say which claim gives what, and why a token is refused")
    explain.add_argument("token", help="the token, or - to read it from standard input")
    given = parser.parse_args(arguments)
    if given.command == "id":
        print(mapping.user_id(given.issuer, given.claim))  # noqa: T201
        return 0
    try:
        return _explain((sys.stdin.read() if given.token == "-" else given.token).strip())  # noqa: S105
    except (ConfigurationError, IdentityUnavailableError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2


def _explain(token: str) -> int:
    from shared.identity.tokens import TokenError, unverified, verifier

    settings = Settings.from_environment(os.environ)
    try:
        shown = unverified(token)
    except TokenError as error:
        print(f"refused: {error}")  # noqa: T201
        return 1
    for line in _explanation(shown, settings):
        print(line)  # noqa: T201
    try:
        found = verifier(settings).claims(token)
    except TokenError as error:
        print(f"refused: {error}")  # noqa: T201
        return 1
    if ClaimMapping.of(settings).caller(found) is None:
        print(f"refused: no claim names the user ({variable('user_claim')})")  # noqa: T201
        return 1
    print("accepted")  # noqa: T201
    return 0


def _explanation(claims: mapping.Claims, settings: Settings) -> Iterator[str]:
    """What each claim gives, before anything is verified."""
    rules = ClaimMapping.of(settings)
    issuer = str(claims.get("iss", ""))
    yield f"issuer   {claims.get('iss')!r}"
    name = mapping.user_name(claims.get(rules.user_claim))
    if name is None:
        yield f"user     {rules.user_claim}: missing"
    else:
        user_id = mapping.user_id(issuer, name)
        yield f"user     {rules.user_claim} {name!r} -> {user_id}" + (
            "" if user_id == name else " (hashed: no user id)"
        )
    for claim in rules.role_claims:
        for role in mapping.roles_in(claims.get(claim)):
            known = role in rules.instructor_roles
            yield f"role     {claim} {role!r} -> " + ("instructor" if known else "nothing that is known")
    yield f"caller   {rules.role(claims)}"


if __name__ == "__main__":
    sys.exit(main())
