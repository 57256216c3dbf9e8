"""The counts of a message rate limit, on SQLite."""

from typing import Any

from peewee import Database, IntegerField, Model, TextField


def up(migrator: Any, db: Database) -> None:
    """Create the table."""

    class MessageRates(Model):
        user_id = TextField(primary_key=True)
        window_start = TextField()
        sent = IntegerField()

        class Meta:
            database = db
            table_name = "message_rates"
            without_rowid = True

    db.create_tables([MessageRates], safe=False)
