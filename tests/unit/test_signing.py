"""The signer signs as botocore does."""

from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import botocore.auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials as BotocoreCredentials  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from shared import clock
from shared.live.aws.signing import Credentials, Scope, signed

KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
SEGMENTS = st.text(min_size=1).filter(lambda text: text not in (".", "..")).map(lambda text: quote(text, safe="@"))
NAMES = st.from_regex(r"x-amz-[a-z]{1,8}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126)).map(str.strip).filter(bool)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


def by_botocore(
    credentials: Credentials, scope: Scope, moment: datetime, method: str, path: str, headers: Any, body: bytes
) -> dict[str, str]:
    """The headers that botocore sends."""
    keys = BotocoreCredentials(credentials.access_key, credentials.secret_key, credentials.session_token or None)
    request = AWSRequest(method, f"https://{headers['host']}{path}", headers, body)
    with patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: moment):
        botocore.auth.SigV4Auth(keys, scope.service, scope.region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@given(
    credentials=st.builds(Credentials, KEYS, KEYS, st.just("") | KEYS),
    scope=st.builds(
        Scope, st.sampled_from(["eu-central-1", "us-gov-west-1"]), st.sampled_from(["execute-api", "lambda"])
    ),
    moment=MOMENTS,
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    segments=st.lists(SEGMENTS, max_size=4),
    further=st.dictionaries(NAMES, VALUES, max_size=3),
    body=st.binary(),
)
def test_a_request_is_signed_as_by_botocore(
    credentials: Credentials,
    scope: Scope,
    moment: datetime,
    method: str,
    segments: list[str],
    further: dict[str, str],
    body: bytes,
) -> None:
    headers = {**further, "host": "a1b2c3.execute-api.eu-central-1.amazonaws.com"}
    path = "/" + "/".join(segments)
    ours = signed(credentials, scope, clock.render(moment), method, path, headers, body)
    assert ours == by_botocore(credentials, scope, moment, method, path, headers, body)


def test_the_equals_sign_of_a_connection_id_is_encoded_twice_in_what_is_signed() -> None:
    rest: Any = ({"host": "h"}, b"")
    moment = datetime(2026, 11, 25, 8, tzinfo=UTC)
    keys, scope = Credentials("AKIA", "secret", "token"), Scope("eu-central-1", "execute-api")
    once = signed(keys, scope, clock.render(moment), "POST", "/dev/@connections/L0SM9cOFvHcCIhw%3D", *rest)
    assert once == by_botocore(keys, scope, moment, "POST", "/dev/@connections/L0SM9cOFvHcCIhw%3D", *rest)
    assert once != signed(keys, scope, clock.render(moment), "POST", "/dev/@connections/L0SM9cOFvHcCIhw=", *rest)


def test_credentials_do_not_show_their_secrets() -> None:
    assert repr(Credentials("AKIA", "secret", "token")) == "Credentials('AKIA')"
