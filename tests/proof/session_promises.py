"""The promises about sessions. Each is a function that yields what breaks it in the evidence."""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator

from tests.proof.evidence import ACTIVE, ENDED, MISSING, THERE, Evidence, Reading
from tests.proof.record import OK, Call, Fields

Finding = tuple[str, list[Call]]
"""What is wrong, and the calls that show it."""


def ended_sessions_stay_ended(evidence: Evidence) -> Iterator[Finding]:
    """After a call has seen a session ended, no later call in any process sees it active."""
    for session_id, sightings in evidence.sightings.items():
        ended = evidence.first(session_id, ENDED)
        proof = [sighting.call for sighting in sightings if sighting.state == ENDED and sighting.end == ended]
        for sighting in sightings:
            if sighting.state == ACTIVE and sighting.begin > ended:
                yield f"{session_id} was active after it had ended", [*proof, sighting.call]


def created_sessions_are_found(evidence: Evidence) -> Iterator[Finding]:
    """After a create was acknowledged or a session was seen, every process finds the session."""
    for session_id, sightings in evidence.sightings.items():
        there = evidence.first(session_id, ACTIVE, ENDED, THERE)
        for sighting in sightings:
            if sighting.state == MISSING and sighting.begin > there:
                yield f"{session_id} was not found after it had been created", [sighting.call]


def one_end_wins(evidence: Evidence) -> Iterator[Finding]:
    """Of any number of ends of a session, exactly one wins."""
    for session_id, ends in evidence.ends.items():
        won = [call for call in ends if call.outcome == OK]
        if len(won) > 1:
            yield f"{len(won)} ends of {session_id} won", won
        ended = evidence.first(session_id, ENDED)
        late = [call for call in won if call.begin > ended]
        if late:
            yield f"{session_id} had ended before an end of it won", late


def nothing_ends_by_itself(evidence: Evidence) -> Iterator[Finding]:
    """A session is seen ended only after an end began that did not fail; a failed end changes nothing."""
    for session_id, sightings in evidence.sightings.items():
        possible = [call.begin for call in evidence.ends.get(session_id, []) if call.may_be_committed]
        for sighting in sightings:
            if sighting.state == ENDED and sighting.end < min(possible, default=math.inf):
                yield f"nobody can have ended {session_id}", [sighting.call]


def every_end_time_is_the_same(evidence: Evidence) -> Iterator[Finding]:
    """Every call that shows a session's end time shows the same one, and it is not before the start."""
    for session_id, sightings in evidence.sightings.items():
        told = {sighting.shown["end_time"]: sighting.call for sighting in sightings if sighting.shown.get("end_time")}
        if len(told) > 1:
            yield f"{session_id} ended at several times: {', '.join(sorted(told))}", list(told.values())
        started = {sighting.shown["start_time"] for sighting in sightings if "start_time" in sighting.shown}
        if any(end < start for end in told for start in started):
            yield f"{session_id} ended before it started", list(told.values())


def sessions_never_change(evidence: Evidence) -> Iterator[Finding]:
    """A session's name and start are the same to everybody, always; ended means that there is an end time."""
    for session_id, sightings in evidence.sightings.items():
        full = [sighting for sighting in sightings if "name" in sighting.shown]
        shown = {(sighting.shown["name"], sighting.shown["start_time"]): sighting.call for sighting in full}
        if len(shown) > 1:
            yield f"{session_id} was shown in several forms", list(shown.values())
        for sighting in full:
            if (sighting.shown["end_time"] is None) != (sighting.shown["status"] == ACTIVE):
                yield f"{session_id} is half ended", [sighting.call]


def sessions_are_created_once(evidence: Evidence) -> Iterator[Finding]:
    """Every session that is seen was asked for before, by a create that can have succeeded, and made once."""
    ids = defaultdict(set)
    for session_id, sightings in evidence.sightings.items():
        name = evidence.name_of(session_id)
        if name is None:
            continue
        ids[name].add(session_id)
        attempts = evidence.creates.get(name)
        first_seen = evidence.first(session_id, ACTIVE, ENDED, THERE)
        if attempts is None or not attempts.may_be_committed or attempts.begin > first_seen:
            yield f"nobody can have created {session_id}", [one.call for one in sightings[:1]]
    for name, several in ids.items():
        if len(several) > 1:
            sightings = [evidence.sightings[session_id][0] for session_id in several]
            yield f"create {name} made {len(several)} sessions", [sighting.call for sighting in sightings]


def lists_neither_skip_nor_repeat(evidence: Evidence) -> Iterator[Finding]:
    """A crawl holds every session that matched from its first page to its last exactly once, and in order."""
    for reading in evidence.lists:
        keys = [(session["start_time"], session["id"]) for session in reading.sessions]
        if len(set(keys)) < len(keys):
            yield "a list repeats a session", reading.pages
        if any(one < other for one, other in itertools.pairwise(keys)):
            yield "a list is out of order", reading.pages
        listed = {session_id for _start, session_id in keys}
        if reading.complete:
            for session_id, create in evidence.created.items():
                if session_id not in listed and _matched_throughout(evidence, session_id, create.asked, reading):
                    yield f"a list skips {session_id}", [*create.calls, *reading.pages]


def _matched_throughout(evidence: Evidence, session_id: str, create: Fields, reading: Reading) -> bool:
    """Whether a session matched a list's filters all the time that it was read."""
    if not _passes(create, reading.asked):
        return False
    status = reading.asked["status"] or ACTIVE
    if status == ENDED:
        return evidence.first(session_id, ENDED) < reading.begin
    if evidence.first(session_id, ACTIVE, ENDED, THERE) >= reading.begin:
        return False
    ends = (call.begin for call in evidence.ends.get(session_id, []) if call.may_be_committed)
    return status == "all" or min(ends, default=math.inf) > reading.end


def _passes(create: Fields, query: Fields) -> bool:
    creator, student = query["created_by"], query["student_id"]
    return creator in (None, create["instructor_id"]) and (student is None or student in create["student_ids"])


def lists_hold_what_was_asked_for(evidence: Evidence) -> Iterator[Finding]:
    """A page holds sessions that match its filters, and counts all that match, of one moment."""
    for reading in evidence.lists:
        status = reading.asked["status"] or ACTIVE
        for session in reading.sessions:
            create = evidence.created.get(session["id"])
            matches = create is None or _passes(create.asked, reading.asked)
            if not matches or status not in ("all", session["status"]):
                yield f"{session['id']} does not belong into a list", reading.pages
        first = reading.pages[0].value
        if not _counts(first["total_count"], len(first["sessions"]), more=first["next_cursor"] is not None):
            yield "a list's total is not the number of its sessions", reading.pages[:1]


def _counts(total: int, on_first_page: int, *, more: bool) -> bool:
    return total > on_first_page if more else total == on_first_page


PROMISES = (
    ended_sessions_stay_ended,
    created_sessions_are_found,
    one_end_wins,
    nothing_ends_by_itself,
    every_end_time_is_the_same,
    sessions_never_change,
    sessions_are_created_once,
    lists_neither_skip_nor_repeat,
    lists_hold_what_was_asked_for,
)
