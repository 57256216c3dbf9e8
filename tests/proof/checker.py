"""The checker: finds the calls in a record that break a promise.

It uses only the record. A call took effect at some moment between its begin and its end. So the order of two calls is
known only if one ended before the other began. A call whose outcome is unknown may have taken effect or not, and also
after all other calls.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from tests.proof import message_promises, session_promises
from tests.proof.evidence import Evidence
from tests.proof.record import Call
from tests.proof.session_promises import Finding

Promise = Callable[[Evidence], Iterator[Finding]]

PROMISES: tuple[Promise, ...] = session_promises.PROMISES + message_promises.PROMISES


class Violation(msgspec.Struct, frozen=True):
    """A promise that was broken, how, and the calls that show it."""

    promise: str
    finding: str
    calls: list[Call]


def violations(calls: Iterable[Call]) -> list[Violation]:
    """Every violation, ordered by promise; empty for a correct record."""
    evidence = Evidence(calls)
    return [Violation(promise.__name__, finding, shown) for promise in PROMISES for finding, shown in promise(evidence)]
