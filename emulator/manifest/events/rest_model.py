"""What the emulator takes from a manifest about its REST API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Check = Callable[[Any], object]
"""Raises a ValueError for a value that does not match a schema."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key with which private routes may be called."""

    id: str
    name: str
    value: str
    generated: bool
    """Whether the manifest has no value for it. The generated one is the same at each start."""


@dataclass(frozen=True, slots=True)
class RestSettings:
    """What holds for all routes of the REST API."""

    binary_types: tuple[str, ...] = ()
    """The media types whose bodies are bytes."""
    stage: str | None = None
    """The API's own stage, where it is not the manifest's."""
    keys: tuple[ApiKey, ...] = ()
    """The keys that are enabled."""
    key_of_authorizer: bool = False
    """Whether the key is what the authorizer answers as `usageIdentifierKey`, instead of the header `x-api-key`."""


@dataclass(frozen=True, slots=True)
class RestCors:
    """The answer to a preflight, before the Origin of the request is looked at."""

    origin: str | None
    """The only origin, where `origins` has none."""
    origins: tuple[str, ...]
    """Origins, each perhaps with a star. The first is the answer to a request of any other origin."""
    headers: tuple[str, ...]
    methods: tuple[str, ...]
    allow_credentials: bool = False
    max_age: int | None = None
    cache_control: str | None = None


@dataclass(frozen=True, slots=True)
class RequestRules:
    """The rules of one route."""

    required: tuple[tuple[str, str], ...] = ()
    """The place (`querystring`, `path` or `header`) and the name of each parameter that must have a value."""
    bodies: Mapping[str, Check] = field(default_factory=dict, hash=False)
    """The check of a body, by its media type."""


@dataclass(frozen=True, slots=True)
class RestMethod:
    """What a REST API does for one method of one path."""

    cors: RestCors | None = None
    private: bool = False
    """Whether a request needs an API key."""
    rules: RequestRules = field(default_factory=RequestRules)
    integration: Literal["proxy", "lambda"] = "proxy"
    """Whether the function gets the whole request, or the event that the framework's mapping template makes of it."""
    asynchronous: bool = False
    """Whether the client waits for no result."""
    timeout: float | None = None
    """Seconds that the API waits for the function, where they are not the API's usual ones."""
    claims: tuple[str, ...] = ()
    """The claims of a Cognito token that the mapping template adds to `sub`."""
    unavailable: str | None = None
    """Why the answer is 501."""
