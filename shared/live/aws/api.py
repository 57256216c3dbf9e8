"""Signed calls to one API of AWS, and what its refusals mean."""

import json
from collections.abc import Mapping
from urllib.parse import quote

from shared import clock
from shared.live.aws.http_client import Answer, HttpClient, NoAnswerError, UnreachableError, UntrustedServerError
from shared.live.aws.signing import Credentials, Scope, signed
from shared.live.ports import CALL_TIMEOUT, OutcomeUnknownError, PlatformError, UnavailableError

_TEXT_CHARACTERS = 500  # of what AWS says, in an error's text


class Api:
    """One API, at `url`."""

    def __init__(self, url: str, credentials: Credentials, scope: Scope) -> None:
        self._url = url
        self._credentials = credentials
        self._scope = scope
        self._client = HttpClient(url, CALL_TIMEOUT)

    def call(
        self,
        method: str,
        segments: tuple[str, ...],
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        repeatable: bool = False,
    ) -> Answer:
        """The answer to one call; `segments` make its path, and may hold any character.

        Raises `UnavailableError`, `OutcomeUnknownError`, and `PlatformError` for a server whose certificate is not
        trusted.
        """
        client = self._client
        # As boto3 sends it: `@` as it is, the `=` of connection ids encoded.
        path = "/".join((client.path, *(quote(segment, safe="@") for segment in segments)))
        sent = {"host": client.host, **(headers or {})}
        sent = signed(self._credentials, self._scope, clock.now(), method, path, sent, body)
        try:
            return client.call(method, path, sent, body, repeatable=repeatable)
        except UnreachableError as error:
            raise UnavailableError(f"cannot reach {error}") from error
        except NoAnswerError as error:
            raise OutcomeUnknownError(f"no answer from {error}") from error
        except UntrustedServerError as error:
            raise PlatformError(f"the server is not trusted: {error}") from error

    def check(self, answer: Answer, expected: int, what: str, hints: Mapping[int, str]) -> None:
        """Raise `UnavailableError` or `PlatformError` for every other status; the text has the hint of its status."""
        if answer.status == expected:
            return
        said = ": ".join(text for text in (answer.error_type.partition(":")[0], _message(answer.body)) if text)
        text = f"{self._url} answered {answer.status} to {what}" + (f" ({said})" if said else "")
        if answer.status == 429 or answer.status >= 500:
            raise UnavailableError(text)
        hint = hints.get(answer.status)
        raise PlatformError(f"{text}; {hint}" if hint else text)

    def release(self) -> None:
        """Close the idle connections. A call may follow."""
        self._client.close()


def _message(body: bytes) -> str:
    try:
        found = json.loads(body)
        text = found.get("message") or found.get("Message")
    except (ValueError, AttributeError):
        text = body.decode(errors="replace")
    return str(text or "")[:_TEXT_CHARACTERS]
