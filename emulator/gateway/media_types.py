"""Which bodies of a REST API are binary: those whose type is among `provider.apiGateway.binaryMediaTypes`."""

from __future__ import annotations

from collections.abc import Iterable


def matches(value: str, patterns: Iterable[str]) -> bool:
    """Whether the first type of a Content-Type or an Accept is one of the patterns: `image/png`, `image/*`, `*/*`.

    `*/*` matches whatever is sent, even nothing. An Accept of `*/*` matches no other pattern, as on AWS.
    """
    kind = value.partition(",")[0].partition(";")[0].strip().lower()
    family = kind.partition("/")[0]
    return any(pattern in ("*/*", kind, f"{family}/*") for pattern in map(str.lower, patterns))
