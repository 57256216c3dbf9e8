"""The checker: from the record of what all callers asked and were answered to what broke a promise.

It believes nothing but the record. A call took effect at some moment between its begin and its end, so only what one
call ended before another began is known to be in that order; a call whose outcome is unknown may have taken effect or
not, and also later than all others.
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
    """All that breaks a promise, promise by promise; empty for a correct record."""
    evidence = Evidence(calls)
    return [Violation(promise.__name__, finding, shown) for promise in PROMISES for finding, shown in promise(evidence)]
