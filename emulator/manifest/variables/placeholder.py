"""The placeholder for a value that is not known on this machine."""

from __future__ import annotations


class Placeholder(str):
    """A text that contains such a placeholder, for example `<ssm:/app/key>`."""

    __slots__ = ()
