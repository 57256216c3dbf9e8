"""AWS Signature Version 4 for calls without a query (AWS General Reference, "Signature Version 4 signing process").

Written here because importing botocore's signer costs a container about 100 ms, hashlib and hmac less than 10.
`tests/unit/test_signing.py` compares the two.
"""

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote

import msgspec

_ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(msgspec.Struct, frozen=True):
    """The keys of a role or user; keys of a role have a session token."""

    access_key: str
    secret_key: str
    session_token: str = ""

    def __repr__(self) -> str:
        """The public part alone: the others are secret."""
        return f"Credentials({self.access_key!r})"


class Scope(msgspec.Struct, frozen=True):
    """What a signature is good for, beside its day."""

    region: str
    service: str


def signed(
    credentials: Credentials,
    scope: Scope,
    moment: str,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
) -> dict[str, str]:
    """The headers to send: the given ones, all of which are signed, and those of the signature.

    `moment` is in the format of `shared.clock`. `path` is as the request has it: percent-encoded, without a query, an
    empty segment or one of dots. `headers` have names in lower case, `host` among them.
    """
    stamp = moment[:19].replace("-", "").replace(":", "") + "Z"
    sent = {**headers, "x-amz-date": stamp}
    if credentials.session_token:
        sent["x-amz-security-token"] = credentials.session_token
    names = ";".join(sorted(sent))
    canonical = "\n".join(
        (
            method,
            quote(path, safe="/"),  # encoded once more: only S3 signs a path as it is sent
            "",  # the query
            *(f"{name}:{' '.join(sent[name].split())}" for name in sorted(sent)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    days_scope = f"{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"
    text = "\n".join((_ALGORITHM, stamp, days_scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{credentials.secret_key}".encode()
    for part in days_scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    sent["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{days_scope}, SignedHeaders={names}, Signature={signature}"
    )
    return sent
