"""The tables, as peewee models. Models are not bound to a database: an engine brings its own.

Columns are the design's, and beside them
- `messages.sequence`: counts a session's messages in the order of their commits; with the session it is the
  clustered key, so a session's history lies together on disk, in order, and is paged by key;
- `enrollments`: one row a student and session, so that a student's sessions are found without reading every roster;
- `session_counts`: how many sessions each status has, so that a list's total does not cost a count of all;
- `idempotency_keys`: the answers kept for repeated calls.

Times are text in the service's fixed-width format: text order is time order.
"""

from peewee import SQL, Check, CompositeKey, ForeignKeyField, IntegerField, Model, TextField

from shared.entities import ADDRESSED_MESSAGE_TYPES, INSTRUCTOR_MESSAGE_TYPES, STUDENT_MESSAGE_TYPES


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


class SessionRow(Model):
    """A session. The roster comes last: reading a status does not walk over it."""

    id = TextField(primary_key=True)
    name = TextField()
    created_by = TextField()
    start_time = TextField()
    end_time = TextField(null=True)
    status = TextField()
    student_ids = TextField()

    class Meta:
        table_name = "sessions"
        constraints = (
            Check("length(name) BETWEEN 1 AND 200"),
            Check("status IN ('active', 'ended')"),
            Check("(status = 'active') = (end_time IS NULL)"),
            Check("end_time >= start_time"),
        )


# Newest first, then by id: the order of a list, so that a page is one walk along an index.
for _name, _columns, _where in (
    ("sessions_active", (SessionRow.start_time.desc(), SessionRow.id), SQL("status = 'active'")),
    ("sessions_ended", (SessionRow.start_time.desc(), SessionRow.id), SQL("status = 'ended'")),
    ("sessions_newest", (SessionRow.start_time.desc(), SessionRow.id), None),
    (
        "sessions_creator",
        (SessionRow.created_by, SessionRow.start_time.desc(), SessionRow.id, SessionRow.status),
        None,
    ),
):
    SessionRow.add_index(SessionRow.index(*_columns, name=_name, where=_where))


class MessageRow(Model):
    """A message, stored in its session's order."""

    session_id = ForeignKeyField(SessionRow, column_name="session_id", object_id_name="session_key", index=False)
    sequence = IntegerField()
    id = TextField()
    type = TextField()
    context = TextField()
    from_user = TextField()
    to_user = TextField(null=True)
    timestamp = TextField()
    content = TextField()

    class Meta:
        table_name = "messages"
        primary_key = CompositeKey("session_id", "sequence")
        without_rowid = True
        constraints = (
            Check("sequence > 0"),
            Check(f"type IN ({_listed(STUDENT_MESSAGE_TYPES + INSTRUCTOR_MESSAGE_TYPES)})"),
            Check(f"(type IN ({_listed(ADDRESSED_MESSAGE_TYPES)})) = (to_user IS NOT NULL)"),
        )


class EnrollmentRow(Model):
    """That a student is on a session's roster; in the order of a list."""

    student_id = TextField()
    start_time = TextField()
    session_id = TextField()

    class Meta:
        table_name = "enrollments"
        primary_key = CompositeKey("student_id", "start_time", "session_id")
        without_rowid = True


class SessionCountRow(Model):
    """How many sessions have a status."""

    status = TextField(primary_key=True)
    sessions = IntegerField()

    class Meta:
        table_name = "session_counts"
        without_rowid = True


class IdempotencyKeyRow(Model):
    """The answer that was given to a call with an `Idempotency-Key`, and what the call asked for."""

    scope = TextField()
    key = TextField()
    fingerprint = TextField()
    answer = TextField()
    created_at = TextField()

    class Meta:
        table_name = "idempotency_keys"
        primary_key = CompositeKey("scope", "key")


IdempotencyKeyRow.add_index(IdempotencyKeyRow.index(IdempotencyKeyRow.created_at, name="idempotency_keys_created_at"))

MODELS: tuple[type[Model], ...] = (SessionRow, MessageRow, EnrollmentRow, SessionCountRow, IdempotencyKeyRow)
