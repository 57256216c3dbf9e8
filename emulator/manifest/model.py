"""What a serverless.yml says, as frozen dataclasses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emulator.manifest.account import ACCOUNT_ID, arn
from emulator.manifest.events.alb_model import AlbRule
from emulator.manifest.events.inputs import Input
from emulator.manifest.events.rest_model import RestMethod, RestSettings
from emulator.manifest.events.websocket_model import WebSocketApi
from emulator.manifest.yaml.files import Stamp

ApiKind = Literal["httpApi", "http", "url", "alb"]


QUALIFIER = "$LATEST"
"""The only version of every function."""
_FUNCTION_NAME = re.compile(
    r"(?:arn:aws:lambda:(?P<region>[^:]+):(?=\d+:function:))?"
    r"(?:(?P<account>\d+):function:)?(?P<name>[^:]+)(?::(?P<qualifier>[^:]+))?"
)


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How a function's log is written."""

    json: bool = False
    """Whether the runtime's own lines and the records of `logging` are JSON, instead of text."""
    application_level: str = "INFO"
    """With JSON: the lowest level of the function's own records."""
    system_level: str = "INFO"
    """With JSON: the lowest level of Lambda's lines."""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """A function and its settings."""

    name: str
    full_name: str
    handler: str
    timeout: int
    """Seconds."""
    memory_size: int
    """Megabytes."""
    environment: Mapping[str, str]
    region: str
    runtime: str
    line: int
    import_paths: tuple[str, ...] = ()
    """Folders on the import path besides the project's own and the layers'."""
    layers: tuple[str, ...] = ()
    """The folders of its layers: what is in them is under /opt when deployed; of two files the later layer's counts."""
    module: str = "."
    """The folder of the project that is deployed as the function's root."""
    retries: int = 2
    """How often a failed asynchronous invocation is tried again."""
    on_success: str = ""
    on_failure: str = ""
    """The functions, by name or ARN, that get the records of asynchronous invocations."""
    logs: LogSettings = LogSettings()

    def __hash__(self) -> int:
        """Of the name: no two functions of a manifest have the same."""
        return hash(self.name)

    @property
    def arn(self) -> str:
        """The function's ARN."""
        return arn("lambda", self.region, f"function:{self.full_name}")


@dataclass(frozen=True, slots=True)
class Route:
    """One HTTP event of a function; the method may be ANY, the path may be `*`."""

    method: str
    path: str
    function: Function
    kind: ApiKind
    line: int
    authorizer: str | None = None
    scopes: tuple[str, ...] = ()
    rest: RestMethod | None = None
    """The further settings of a REST API's route."""
    payload: str = "2.0"
    """The format of the function's events: 2.0 or 1.0."""

    @property
    def key(self) -> str:
        """The route key: `POST /pets/{id}`, or `$default` for the catch-all."""
        return "$default" if self.path == "*" else f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Cors:
    """The CORS settings of the HTTP API."""

    allowed_origins: tuple[str, ...]
    allowed_methods: tuple[str, ...]
    allowed_headers: tuple[str, ...]
    exposed_headers: tuple[str, ...] = ()
    max_age: int | None = None
    allow_credentials: bool = False


@dataclass(frozen=True, slots=True)
class FunctionUrl:
    """A function URL."""

    function: Function
    cors: Cors | None
    signed: bool
    """Whether a request must be signed (`authorizer: aws_iam`)."""
    streamed: bool
    """Whether the response is streamed (`invokeMode: RESPONSE_STREAM`)."""
    line: int


@dataclass(frozen=True, slots=True)
class RequestAuthorizer:
    """A Lambda authorizer of type REQUEST."""

    name: str
    function: Function
    identity_source: tuple[str, ...]
    ttl: int
    simple_responses: bool
    payload_version: str = "2.0"


@dataclass(frozen=True, slots=True)
class JwtAuthorizer:
    """A JWT authorizer: the issuer and the audience of the tokens."""

    name: str
    issuer: str
    audience: tuple[str, ...]
    identity_source: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RestAuthorizer:
    """A Lambda authorizer of a REST API: its function gets a token (TOKEN) or the whole request (REQUEST)."""

    name: str
    function: Function
    type: Literal["TOKEN", "REQUEST"]
    identity_source: tuple[str, ...]
    validation: str | None
    """A regular expression that a token must match as a whole."""
    ttl: int


@dataclass(frozen=True, slots=True)
class CognitoAuthorizer:
    """A Cognito user pool that issues the tokens of a REST API's callers."""

    name: str
    region: str
    pool: str
    identity_source: str
    validation: str | None
    """A regular expression that a token's `aud` must match as a whole."""


@dataclass(frozen=True, slots=True)
class IamAuthorizer:
    """IAM authorization: a request must have a SigV4 signature, which is not checked here."""

    name: str


@dataclass(frozen=True, slots=True)
class UnavailableAuthorizer:
    """An authorizer that cannot be asked here. Its routes answer 403."""

    name: str
    reason: str


Authorizer = (
    RequestAuthorizer | JwtAuthorizer | RestAuthorizer | CognitoAuthorizer | IamAuthorizer | UnavailableAuthorizer
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """One expression on which a function runs."""

    name: str
    function: Function
    expression: str
    enabled: bool
    input: Input
    line: int
    timezone: str = "UTC"
    """The time zone of the expression's clock times."""
    scheduler: bool = False
    """Whether it belongs to EventBridge Scheduler (True) or is a rule of EventBridge."""
    group: str = "default"

    @property
    def times(self) -> str:
        """The expression, with its time zone when that is not UTC."""
        return self.expression if self.timezone == "UTC" else f"{self.expression} {self.timezone}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the emulator uses of one serverless.yml."""

    path: Path
    service: str
    stage: str
    region: str
    functions: Mapping[str, Function]
    routes: tuple[Route, ...]
    cors: Cors | None
    rest: RestSettings
    authorizers: Mapping[str, Authorizer]
    schedules: tuple[Schedule, ...]
    urls: tuple[FunctionUrl, ...]
    alb_rules: tuple[AlbRule, ...]
    """In the order in which a listener tries them."""
    websocket: WebSocketApi | None
    files: Mapping[Path, Stamp]
    """Every file that was read or looked for, and its stamp from before. A change in one changes the manifest."""
    warnings: tuple[str, ...]
    unlimited: bool = False
    """Whether no time limit counts, of a function or of an API."""

    @property
    def folder(self) -> Path:
        """Where the manifest is."""
        return self.path.parent

    def root(self, function: Function) -> Path:
        """The folder that is /var/task when deployed: where a function runs, and its handler's module path begins."""
        return self.folder / function.module

    @property
    def rest_stage(self) -> str:
        """The stage of the REST API, which is the first part of its paths."""
        return self.rest.stage or self.stage

    @property
    def websocket_paths(self) -> tuple[str, ...]:
        """Where the WebSocket API is served; nowhere without one."""
        return ("/ws", f"/{self.stage}") if self.websocket else ()

    @property
    def alb_listeners(self) -> tuple[str, ...]:
        """The listeners that have rules, each once."""
        return tuple(dict.fromkeys(rule.listener for rule in self.alb_rules))

    def function(self, name: str) -> Function | None:
        """A function by its short name, full name, ARN or partial ARN, with or without a qualifier.

        There is one region, one account and one version of each function; any other names no function.
        """
        found = _FUNCTION_NAME.fullmatch(name)
        if found is None or found["account"] not in (None, ACCOUNT_ID) or found["qualifier"] not in (None, QUALIFIER):
            return None
        if found["region"] not in (None, self.region):
            return None
        if found["name"] in self.functions:
            return self.functions[found["name"]]
        return next((one for one in self.functions.values() if one.full_name == found["name"]), None)
