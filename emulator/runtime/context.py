"""What a handler learns about its invocation, spelled as AWS spells it: the context object, and the trace id."""

from __future__ import annotations

import os
import time
from typing import Any

_TRACE_ID = b"_X_AMZN_TRACE_ID"


def set_trace_id(text: str) -> None:
    """Put the invocation's trace id where libraries look for it; functions on threads share the latest one."""
    # Past `os.putenv`: the C library never frees a value that was set, and there is one for every invocation.
    os.environ._data[_TRACE_ID] = text.encode()  # type: ignore[attr-defined]


class CognitoIdentity:
    """Who called through Amazon Cognito; empty for everybody else."""

    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")

    def __init__(self, data: dict[str, Any]) -> None:
        self.cognito_identity_id: str | None = data.get("cognitoIdentityId")
        self.cognito_identity_pool_id: str | None = data.get("cognitoIdentityPoolId")


class Client:
    """The mobile application that called."""

    __slots__ = ("app_package_name", "app_title", "app_version_code", "app_version_name", "installation_id")

    def __init__(self, data: dict[str, Any]) -> None:
        for name in self.__slots__:
            setattr(self, name, data.get(name))


class ClientContext:
    """What the caller of the Invoke API sent along."""

    __slots__ = ("client", "custom", "env")

    def __init__(self, data: dict[str, Any]) -> None:
        self.custom: Any = data.get("custom")
        self.env: Any = data.get("env")
        self.client = Client(data["client"]) if isinstance(data.get("client"), dict) else None


class LambdaContext:
    """One invocation's context; the remaining time counts down from the function's timeout.

    `deadline` is a time of `time.monotonic`, which is the same clock in every process and does not travel.
    """

    def __init__(
        self,
        aws_request_id: str,
        deadline: float,
        environment: dict[str, str],
        invoked_function_arn: str,
        client_context: dict[str, Any] | None = None,
        identity: dict[str, Any] | None = None,
    ) -> None:
        self.aws_request_id = aws_request_id
        self.invoked_function_arn = invoked_function_arn
        self.function_name = environment.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = environment.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = environment.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = environment.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.client_context = ClientContext(client_context) if client_context else None
        self.identity = CognitoIdentity(identity or {})
        # Bound here: a handler's test may freeze the module's clock, the deadline stays real.
        self._now = time.monotonic
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function is ended; 0 when that moment has passed."""
        return max(0, int((self._deadline - self._now()) * 1000))

    def log(self, message: object) -> None:
        """Write a message to the function's log."""
        print(message)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value}" for name, value in vars(self).items() if not name.startswith("_"))
        return f"LambdaContext([{shown}])"
