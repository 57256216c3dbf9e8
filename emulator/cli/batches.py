"""What a service does with the records of a batch after a function's answer with `batchItemFailures`."""

from __future__ import annotations

import json
from typing import Any

SHOWN = 5
"""Identifiers in the line."""


def report(event: bytes, answer: bytes) -> str | None:
    """One line about the batch, when the event has one and the answer says which of its records failed.

    AWS looks at the answer only where the function's event has `functionResponseType: ReportBatchItemFailures`.
    """
    records, failures = _records(event), _failures(answer)
    if not records or failures is None:
        return None
    known = [_identifier(record) for record in records]
    failed = [str(failure.get("itemIdentifier")) if isinstance(failure, dict) else "" for failure in failures]
    if strange := [one for one in failed if one not in known]:
        return f"batch: {strange[0]!r} is no record of the event: all of its records would be sent again"
    if not failed:
        return f"batch: every record succeeded, of {len(known)}"
    if records[0].get("eventSource") != "aws:sqs":  # a stream keeps its order
        first = min(known.index(one) for one in failed)
        failed = known[first:]
    more = ", …" if len(failed) > SHOWN else ""
    return f"batch: {len(set(failed))} of {len(known)} records would be sent again: {', '.join(failed[:SHOWN])}{more}"


def _records(event: bytes) -> list[dict[str, Any]]:
    value = json.loads(event)
    records = value.get("Records") if isinstance(value, dict) else None
    found = records if isinstance(records, list) else []
    return found if all(isinstance(record, dict) and _identifier(record) for record in found) else []


def _failures(answer: bytes) -> list[Any] | None:
    try:
        value = json.loads(answer)
    except ValueError:
        return None
    failures = value.get("batchItemFailures") if isinstance(value, dict) else None
    return failures if isinstance(failures, list) else None


def _identifier(record: dict[str, Any]) -> str:
    """What names a record of a queue or a stream in `batchItemFailures`; empty for other records."""
    for inside, name in (("kinesis", "sequenceNumber"), ("dynamodb", "SequenceNumber")):
        part = record.get(inside)
        if isinstance(part, dict):
            return str(part.get(name) or "")
    return str(record.get("messageId") or "")
