"""AWS as the platform of the live classroom: API Gateway's `@connections` API, and Lambda's asynchronous Invoke.

Credentials, the region and endpoints come from the environment, under the names that AWS's SDKs read. What a call
needs is imported at the first one: `http.client` and `ssl` cost about 20 ms, which a function that never calls does
not pay.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shared.config import variable
from shared.errors import ConfigurationError
from shared.live.ports import GoneError

if TYPE_CHECKING:
    from shared.live.aws.api import Api

CONNECTIONS_ENDPOINT = "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"
LAMBDA_ENDPOINT = "AWS_ENDPOINT_URL_LAMBDA"

_URL = re.compile(r"https?://([a-zA-Z0-9.-]+|\[[0-9a-fA-F:.]+\])(?::([0-9]{1,5}))?(/[!-~]*)?")

_CLOCK = "and the clock of this machine must be right"
_CONNECTIONS_HINTS = {
    403: f"the function's role needs execute-api:ManageConnections on this API, {_CLOCK}",
    404: "there is no @connections API at this URL: is the stage missing?",
    413: "a message may have 128 KB",
}
_FUNCTIONS_HINTS = {
    403: f"the function's role needs lambda:InvokeFunction on this function, {_CLOCK}",
    404: "there is no function of this name in this region",
    413: "the event is too large",
}


class AwsConnections:
    """The connections of a WebSocket API of API Gateway: `shared.live.ports.Connections`."""

    def __init__(self, url: str, environment: Mapping[str, str] = os.environ) -> None:
        """`url` is the API's over https, with its stage; `AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI` replaces it.

        Raises `ConfigurationError` for credentials, a region or a URL that cannot be used.
        """
        endpoint = environment.get(CONNECTIONS_ENDPOINT)
        name = CONNECTIONS_ENDPOINT if endpoint else variable("connections_url")
        self._service = _Service("execute-api", environment, _url(name, endpoint or url))

    def post(self, connection_id: str, data: bytes) -> None:
        """Send one text frame. A call that fails with `OutcomeUnknownError` may have sent it."""
        api = self._service.api()
        answer = api.call("POST", ("@connections", connection_id), data)
        if answer.status == 410:
            raise GoneError(f"the connection {connection_id} does not exist")
        api.check(answer, 200, f"a frame of {len(data)} bytes", _CONNECTIONS_HINTS)

    def close(self, connection_id: str) -> None:
        """Close a connection; one that is gone is no error."""
        api = self._service.api()
        answer = api.call("DELETE", ("@connections", connection_id), repeatable=True)
        if answer.status != 410:
            api.check(answer, 204, "the close of a connection", _CONNECTIONS_HINTS)

    def release(self) -> None:
        """Close what is open to the API itself. A call may follow."""
        self._service.release()


class AwsFunctions:
    """The functions of Lambda in the caller's account and region: `shared.live.ports.Functions`."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """`AWS_ENDPOINT_URL_LAMBDA` replaces AWS's regional endpoint.

        Raises `ConfigurationError` for credentials, a region or a URL that cannot be used.
        """
        region = _needed(environment, "AWS_REGION")
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        url = _url(LAMBDA_ENDPOINT, environment.get(LAMBDA_ENDPOINT) or f"https://lambda.{region}.{domain}")
        self._service = _Service("lambda", environment, url)

    def start(self, function: str, event: dict[str, Any]) -> None:
        """Hand an event to a function, which may get it twice, as by every asynchronous invocation."""
        api = self._service.api()
        answer = api.call(
            "POST",
            ("2015-03-31", "functions", function, "invocations"),
            json.dumps(event, separators=(",", ":")).encode(),
            {"x-amz-invocation-type": "Event"},
            repeatable=True,
        )
        api.check(answer, 202, f"the invocation of {function}", _FUNCTIONS_HINTS)

    def release(self) -> None:
        """Close what is open to Lambda's API. A call may follow."""
        self._service.release()


class _Service:
    """Where a service is and who calls it, read from the environment at once; its API is opened at the first call."""

    def __init__(self, name: str, environment: Mapping[str, str], url: str) -> None:
        self._name = name
        self._url = url
        self._region = _needed(environment, "AWS_REGION")
        self._access_key = _needed(environment, "AWS_ACCESS_KEY_ID")
        self._secret_key = _needed(environment, "AWS_SECRET_ACCESS_KEY")
        self._session_token = _printable("AWS_SESSION_TOKEN", environment.get("AWS_SESSION_TOKEN", ""))
        self._api: Api | None = None
        self._lock = threading.Lock()

    def api(self) -> Api:
        if self._api is None:
            from shared.live.aws.api import Api
            from shared.live.aws.signing import Credentials, Scope

            credentials = Credentials(self._access_key, self._secret_key, self._session_token)
            with self._lock:
                self._api = self._api or Api(self._url, credentials, Scope(self._region, self._name))
        return self._api

    def release(self) -> None:
        if self._api is not None:
            self._api.release()


def _url(name: str, text: str) -> str:
    """The URL, without the path's last `/`."""
    found = _URL.fullmatch(text.strip())
    if found is None or int(found[2] or 0) > 65535 or {"?", "#"} & set(found[0]):
        raise ConfigurationError(f"{name}: must be the http or https URL of a server, with a path at most")
    return found[0].rstrip("/")


def _needed(environment: Mapping[str, str], name: str) -> str:
    value = _printable(name, environment.get(name, ""))
    if not value:
        raise ConfigurationError(f"{name}: has no value, and the live classroom calls AWS")
    return value


def _printable(name: str, value: str) -> str:
    value = value.strip()
    if not (value.isascii() and value.isprintable()):
        raise ConfigurationError(f"{name}: must be printable ASCII")
    return value
