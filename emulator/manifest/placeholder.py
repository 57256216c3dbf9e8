"""The placeholder for a value that is not known on this machine."""

from __future__ import annotations


class Placeholder(str):
    """A text with a part that only an account could fill in, as `<ssm:/app/key>`."""

    __slots__ = ()
