"""The record of erasures, on SQLite."""

from typing import Any

from peewee import Database, IntegerField, Model, TextField


def up(migrator: Any, db: Database) -> None:
    """Create the table."""

    class Erasures(Model):
        id = TextField(primary_key=True)
        began_at = TextField()
        finished_at = TextField(null=True)
        sessions = IntegerField()
        messages = IntegerField()
        answers = IntegerField()

        class Meta:
            database = db
            table_name = "erasures"
            without_rowid = True

    db.create_tables([Erasures], safe=False)
