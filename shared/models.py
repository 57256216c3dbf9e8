"""The tables, as peewee models. A model is not bound to a database; each engine uses its own.

Besides sessions and messages with their fields there are:
- `messages.sequence`: numbers a session's messages in the order of their commits. With the session it is the primary
  key, so SQLite stores a session's history together and in order, and pages are read by key.
- `enrollments`: one row for each student of each session, to find a student's sessions without reading every roster.
- `session_counts`: how many sessions each status has, so that the total of a list needs no count.
- `idempotency_keys`: the answers that are stored for repeated calls.
- `connections`: who is connected now, and how far each connection is in its session's messages.
- `session_deliveries`: how far the messages of a session with connections are delivered, and who delivers them.
- `erasures`: that something was erased which otherwise never changes.

On PostgreSQL, where many processes write at once, writes of different sessions must not wait for each other. So there
is `session_heads`, with one row that the writes of a session lock, and `session_counts` has several rows (slots). The
head also has the columns of `session_deliveries`: a write sees the newest values of the row that it waited for, and old
values of any other row.

Above the engine, ids and times are text: an id in its canonical form, a time in the service's fixed-width format, so
that text order is time order. The column type depends on the engine.
"""

from peewee import SQL, BigIntegerField, Check, CompositeKey, Field, ForeignKeyField, IntegerField, Model, TextField

from shared.entities import ADDRESSED_MESSAGE_TYPES, INSTRUCTOR_MESSAGE_TYPES, STUDENT_MESSAGE_TYPES


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


class IdentifierField(Field):
    """A UUID."""

    field_type = "UUID"


class MomentField(Field):
    """A point in time."""

    field_type = "MOMENT"


class SequenceField(Field):
    """A number that grows as long as the service lives."""

    field_type = "SEQUENCE"


class SessionRow(Model):
    """A session. The roster comes last: reading a status does not walk over it."""

    id = IdentifierField(primary_key=True)
    name = TextField()
    created_by = TextField()
    start_time = MomentField()
    end_time = MomentField(null=True)
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


# A page of a list, newest start and then greatest id first, is one walk backwards along an index.
for _name, _columns, _where in (
    ("sessions_active", (SessionRow.start_time, SessionRow.id), SQL("status = 'active'")),
    ("sessions_ended", (SessionRow.start_time, SessionRow.id), SQL("status = 'ended'")),
    ("sessions_newest", (SessionRow.start_time, SessionRow.id), None),
    ("sessions_creator", (SessionRow.created_by, SessionRow.start_time, SessionRow.id, SessionRow.status), None),
):
    SessionRow.add_index(SessionRow.index(*_columns, name=_name, where=_where))


class MessageRow(Model):
    """A message, stored in its session's order."""

    session_id = ForeignKeyField(SessionRow, column_name="session_id", object_id_name="session_key", index=False)
    sequence = SequenceField()
    id = IdentifierField()
    type = TextField()
    context = TextField()
    from_user = TextField()
    to_user = TextField(null=True)
    timestamp = MomentField()
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
    start_time = MomentField()
    session_id = IdentifierField()

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
    created_at = MomentField()

    class Meta:
        table_name = "idempotency_keys"
        primary_key = CompositeKey("scope", "key")


IdempotencyKeyRow.add_index(IdempotencyKeyRow.index(IdempotencyKeyRow.created_at, name="idempotency_keys_created_at"))


class MessageRateRow(Model):
    """How many messages a user has sent since `window_start`, within one minute. Only a limit writes here."""

    user_id = TextField(primary_key=True)
    window_start = MomentField()
    sent = IntegerField()

    class Meta:
        table_name = "message_rates"
        without_rowid = True


class ConnectionRow(Model):
    """A connection. Of one user's connections to one session all but the newest are `replaced`.

    `position` is the sequence up to which the connection has its messages, when it is not `live`; a live connection
    gets every message after it. The lease belongs to the replay that sends the history, or that closes a replaced one.
    """

    connection_id = TextField(primary_key=True)
    session_id = IdentifierField()
    user_id = TextField()
    role = TextField()
    connected_at = MomentField()
    state = TextField()
    position = SequenceField()
    lease_token = IdentifierField(null=True)
    lease_until = MomentField(null=True)

    class Meta:
        table_name = "connections"
        without_rowid = True


ConnectionRow.add_index(
    ConnectionRow.index(
        ConnectionRow.session_id,
        ConnectionRow.user_id,
        name="connections_current",
        unique=True,
        where=SQL("state <> 'replaced'"),
    )
)
ConnectionRow.add_index(
    ConnectionRow.index(
        ConnectionRow.session_id,
        ConnectionRow.user_id,
        name="connections_replaced",
        where=SQL("state = 'replaced'"),
    )
)


class SessionDeliveryRow(Model):
    """The delivery of a session that has connections: `connected` counts them, without replaced ones.

    Every message up to the sequence `delivered` was delivered. Until `delivering_until` only the holder of the token
    delivers: it has the lease.
    """

    session_id = IdentifierField(primary_key=True)
    connected = IntegerField()
    delivered = SequenceField()
    delivery_token = IdentifierField(null=True)
    delivering_until = MomentField(null=True)

    class Meta:
        table_name = "session_deliveries"
        without_rowid = True


class ErasureRow(Model):
    """The record of an erasure: when, and how much. It does not have whose data it was: that is erased."""

    id = IdentifierField(primary_key=True)
    began_at = MomentField()
    finished_at = MomentField(null=True)
    sessions = IntegerField()
    messages = IntegerField()
    answers = IntegerField()

    class Meta:
        table_name = "erasures"
        without_rowid = True


class IdentifiedMessageRow(MessageRow):
    """A message whose id is unique in its session: a write that is repeated over a network cannot be made twice."""

    class Meta:
        table_name = "messages"


IdentifiedMessageRow.add_index(MessageRow.session_id, MessageRow.id, unique=True, name="messages_id")


class SessionHeadRow(Model):
    """The session head: what changes with a session's messages. Store and end lock this row until the commit.

    The last four columns are those of `SessionDeliveryRow`; they are NULL until somebody connects.
    """

    session_id = IdentifierField(primary_key=True)
    status = TextField()
    sequence = SequenceField()
    timestamp = MomentField()
    connected = IntegerField(null=True)
    delivered = SequenceField(null=True)
    delivery_token = IdentifierField(null=True)
    delivering_until = MomentField(null=True)

    class Meta:
        table_name = "session_heads"


class SessionCountSlotRow(Model):
    """How many sessions more of a status there are by the writes of those processes that use this slot."""

    slot = IntegerField(primary_key=True)
    active = BigIntegerField()
    ended = BigIntegerField()

    class Meta:
        table_name = "session_counts"


SQLITE_MODELS: tuple[type[Model], ...] = (
    SessionRow,
    MessageRow,
    EnrollmentRow,
    SessionCountRow,
    IdempotencyKeyRow,
    MessageRateRow,
    ConnectionRow,
    SessionDeliveryRow,
    ErasureRow,
)
POSTGRESQL_MODELS: tuple[type[Model], ...] = (
    SessionRow,
    IdentifiedMessageRow,
    EnrollmentRow,
    SessionHeadRow,
    SessionCountSlotRow,
    IdempotencyKeyRow,
    MessageRateRow,
    ConnectionRow,
    ErasureRow,
)
