"""The first schema on SQLite. The models here are a copy: a migration must not change when `shared.models` changes."""

from typing import Any

from peewee import SQL, Check, CompositeKey, Database, ForeignKeyField, IntegerField, Model, TextField


def up(migrator: Any, db: Database) -> None:
    """Create the five tables."""

    class Sessions(Model):
        id = TextField(primary_key=True)
        name = TextField()
        created_by = TextField()
        start_time = TextField()
        end_time = TextField(null=True)
        status = TextField()
        student_ids = TextField()

        class Meta:
            database = db
            table_name = "sessions"
            constraints = (
                Check("length(name) BETWEEN 1 AND 200"),
                Check("status IN ('active', 'ended')"),
                Check("(status = 'active') = (end_time IS NULL)"),
                Check("end_time >= start_time"),
            )

    newest = (Sessions.start_time.desc(), Sessions.id)
    Sessions.add_index(Sessions.index(*newest, name="sessions_active", where=SQL("status = 'active'")))
    Sessions.add_index(Sessions.index(*newest, name="sessions_ended", where=SQL("status = 'ended'")))
    Sessions.add_index(Sessions.index(*newest, name="sessions_newest"))
    Sessions.add_index(Sessions.index(Sessions.created_by, *newest, Sessions.status, name="sessions_creator"))

    class Messages(Model):
        session_id = ForeignKeyField(Sessions, column_name="session_id", object_id_name="session_key", index=False)
        sequence = IntegerField()
        id = TextField()
        type = TextField()
        context = TextField()
        from_user = TextField()
        to_user = TextField(null=True)
        timestamp = TextField()
        content = TextField()

        class Meta:
            database = db
            table_name = "messages"
            primary_key = CompositeKey("session_id", "sequence")
            without_rowid = True
            constraints = (
                Check("sequence > 0"),
                Check(
                    "type IN ('instructor_inbox', 'request_response', 'analytics',"
                    " 'inbox_response', 'request', 'instructor_broadcast')"
                ),
                Check("(type IN ('inbox_response', 'request')) = (to_user IS NOT NULL)"),
            )

    class Enrollments(Model):
        student_id = TextField()
        start_time = TextField()
        session_id = TextField()

        class Meta:
            database = db
            table_name = "enrollments"
            primary_key = CompositeKey("student_id", "start_time", "session_id")
            without_rowid = True

    class SessionCounts(Model):
        status = TextField(primary_key=True)
        sessions = IntegerField()

        class Meta:
            database = db
            table_name = "session_counts"
            without_rowid = True

    class IdempotencyKeys(Model):
        scope = TextField()
        key = TextField()
        fingerprint = TextField()
        answer = TextField()
        created_at = TextField()

        class Meta:
            database = db
            table_name = "idempotency_keys"
            primary_key = CompositeKey("scope", "key")

    IdempotencyKeys.add_index(IdempotencyKeys.index(IdempotencyKeys.created_at, name="idempotency_keys_created_at"))

    db.create_tables([Sessions, Messages, Enrollments, SessionCounts, IdempotencyKeys], safe=False)
    SessionCounts.insert_many([("active", 0), ("ended", 0)]).execute()
