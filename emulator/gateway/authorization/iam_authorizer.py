"""IAM authorization: a request must be signed (Signature Version 4). The signature itself is not checked."""

from __future__ import annotations

import re

from emulator.gateway.authorization.verdicts import Caller, Event, Verdict
from emulator.gateway.call import Call
from emulator.gateway.response import JSON_TYPE, Response, error_response
from emulator.manifest.account import ACCOUNT_ID
from emulator.manifest.model import Route

_CREDENTIAL = re.compile(r"([^/\s,]+)/\d{8}/[^/\s,]+/(execute-api|lambda)/aws4_request")
_HEADER = re.compile(rf"AWS4-HMAC-SHA256\s+(?=.*SignedHeaders=)(?=.*Signature=).*Credential={_CREDENTIAL.pattern}.*")


class IamAuthorizer:
    """Lets every signed request pass, whoever signed it."""

    async def ask(self, call: Call) -> Verdict:
        """The caller that the signature names; a request without a signature is answered 403."""
        service = "lambda" if call.route.kind == "url" else "execute-api"
        key = _access_key(call.v2(), service)
        if key is None:
            return _refusal(call.route, f"no SigV4 signature for {service}")
        user: Event = {
            "accessKey": key,
            "accountId": ACCOUNT_ID,
            "callerId": key,
            "cognitoIdentity": None,
            "principalOrgId": None,
            "userArn": f"arn:aws:iam::{ACCOUNT_ID}:user/local",
            "userId": key,
        }
        return Caller("iam", user)


def _refusal(route: Route, note: str) -> Response:
    if route.kind == "url":
        return Response(403, b'{"Message":"Forbidden"}', [JSON_TYPE], note)
    return error_response(403, "Missing Authentication Token" if route.kind == "http" else "Forbidden", note)


def _access_key(event: Event, service: str) -> str | None:
    """The access key that the request names in its header, or in its query when that is signed."""
    match = _HEADER.fullmatch(event["headers"].get("authorization") or "")
    query = event.get("queryStringParameters") or {}
    if match is None and query.get("X-Amz-Signature"):
        match = _CREDENTIAL.fullmatch(query.get("X-Amz-Credential") or "")
    return match[1] if match and match[2] == service else None
