"""Secrets in a function's environment, masked before anybody is shown it."""

from __future__ import annotations

import re
from typing import Any

MASK = "****"
_WORDS = r"(?:pass(?:word|wd|phrase|code)|pwd|secret|token|credential|signature|api[_-]?key|access[_-]?key)"
_NAME = re.compile(rf"{_WORDS}|(?:^|[_-])(?:pass|key|auth)s?(?:$|[_-])|private", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"([a-z][a-z0-9+.-]*://[^\s:/@]*:)\S*@", re.IGNORECASE)
_URL_TOKEN = re.compile(r"(https?://)[^\s:/@]+@", re.IGNORECASE)
_PAIR = re.compile(rf"([\w-]*{_WORDS}[\w-]*\s*=\s*)[^\s&;]+", re.IGNORECASE)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-amz-security-token"}
)
_FIELDS = _HEADERS | {"cookies", "apikey", "authorizationtoken"}


def is_secret_header(name: str) -> bool:
    """Whether a header of a request or an answer identifies its caller."""
    return name.lower() in _HEADERS


def without_secrets(value: Any) -> Any:
    """An event with what identifies its caller masked: headers, cookies, keys and parameters, but not in its body."""
    if isinstance(value, dict):
        return {name: _field(name, one) for name, one in value.items()}
    if isinstance(value, list):
        return [without_secrets(one) for one in value]
    return masked("", value) if isinstance(value, str) else value


def _field(name: str, value: Any) -> Any:
    if name == "body":
        return value
    if name in ("queryStringParameters", "multiValueQueryStringParameters") and isinstance(value, dict):
        return {one: MASK if _NAME.search(one) else without_secrets(text) for one, text in value.items()}
    if name.lower() not in _FIELDS:
        return without_secrets(value)
    if isinstance(value, list):
        return [MASK for _ in value]
    return MASK if isinstance(value, str) and value else value


def masked(name: str, value: str) -> str:
    """The value of a variable as it may be shown.

    Masked whole where the variable's name says that it is a secret, and in part where the value holds the password of a
    URL or of a list of settings (`password=…`).
    """
    if value and (_NAME.search(name) or _PRIVATE_KEY.search(value)):
        return MASK
    value = _URL_PASSWORD.sub(rf"\1{MASK}@", value)
    value = _URL_TOKEN.sub(rf"\1{MASK}@", value)
    return _PAIR.sub(rf"\1{MASK}", value)
