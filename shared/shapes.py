"""Types that are read with msgspec, prepared when a module loads.

msgspec builds what it needs to know of a type when the type is first used, and does not expect other threads then: two
of them can crash the process.
"""

from typing import TypeVar

import msgspec

T = TypeVar("T")


def prepared(kind: type[T]) -> type[T]:
    """The type, which any number of threads may use from now on. A decorator of classes."""
    msgspec.json.Decoder(kind)
    return kind
