"""Plain YAML scalars as the Serverless Framework's parser (js-yaml, YAML 1.2) reads them, and JavaScript's spelling.

`yes`, `on`, dates, `1:30` and `1_000` are texts. Every number is a JavaScript number: a 64-bit float.
"""

from __future__ import annotations

import math
import re

Scalar = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_RADIX = re.compile(r"([-+]?)0(?:b([01]+)|o([0-7]+)|x([0-9a-fA-F]+))")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_EXACT = 2**53
_LARGEST_PLAIN = 1e21
_SMALLEST_PLAIN = 1e-6


class ScalarError(Exception):
    """A number that no JavaScript number can hold."""


def plain(text: str) -> Scalar:
    """The value of a scalar without quotes and without a tag."""
    if text in _WORDS:
        return _WORDS[text]
    if match := _RADIX.fullmatch(text):
        return _radix(match)
    if _NUMBER.fullmatch(text):
        return _decimal(text)
    if match := _SPECIAL.fullmatch(text):
        return float(text.replace(".", "").lower())
    return text


def spelled(value: Scalar) -> str:
    """A value as JavaScript converts it to text. A deployed function sees this text in its environment."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else _number(value)


def loses_digits(value: Scalar) -> bool:
    """Whether a whole number is too large for JavaScript to keep all its digits."""
    return isinstance(value, int) and abs(value) > _EXACT and int(float(value)) != value


def _radix(match: re.Match[str]) -> int:
    digits, base = next((match[group], base) for group, base in ((2, 2), (3, 8), (4, 16)) if match[group])
    return _finite(int(digits, base)) * (-1 if match[1] == "-" else 1)


def _decimal(text: str) -> int | float:
    value = float(text)
    if math.isinf(value):
        raise ScalarError(f"the number {text[:20]}… is out of range")
    digits = text.lstrip("+-")
    if not digits.isdecimal():
        return value
    whole = int(digits.lstrip("0") or "0")  # Python converts 4,300 digits at most
    return -whole if text.startswith("-") else whole


def _finite(value: int) -> int:
    try:
        float(value)
    except OverflowError:
        raise ScalarError("the number is out of range") from None
    return value


def _number(value: float) -> str:
    number = float(value)
    if math.isnan(number) or math.isinf(number):
        return "NaN" if math.isnan(number) else f"{'-' * (number < 0)}Infinity"
    if number == 0:
        return "0"
    mantissa, _, exponent = repr(number).partition("e")
    if not _SMALLEST_PLAIN <= abs(number) < _LARGEST_PLAIN:
        return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}"
    return _without_exponent(mantissa, int(exponent or 0))


def _without_exponent(mantissa: str, exponent: int) -> str:
    """The digits of `mantissa` with the decimal point moved."""
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits, point = whole + fraction, len(whole) + exponent
    if point <= 0:
        digits, point = "0" * (1 - point) + digits, 1
    digits = digits.ljust(point, "0")
    rest = digits[point:].rstrip("0")
    return f"{sign}{digits[:point]}{'.' if rest else ''}{rest}"
