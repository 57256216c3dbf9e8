"""Secrets in a function's environment, masked before anybody is shown it."""

from __future__ import annotations

import re

MASK = "****"
_WORDS = r"(?:pass(?:word|wd|phrase|code)|pwd|secret|token|credential|signature|api[_-]?key|access[_-]?key)"
_NAME = re.compile(rf"{_WORDS}|(?:^|[_-])(?:pass|key|auth)s?(?:$|[_-])|private", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"([a-z][a-z0-9+.-]*://[^\s:/@]*:)\S*@", re.IGNORECASE)
_URL_TOKEN = re.compile(r"(https?://)[^\s:/@]+@", re.IGNORECASE)
_PAIR = re.compile(rf"([\w-]*{_WORDS}[\w-]*\s*=\s*)[^\s&;]+", re.IGNORECASE)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


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
