"""The live classroom's writes on SQLite. There is one writer at a time, so what a write has read cannot change."""

from collections.abc import Callable, Sequence
from functools import cached_property

from peewee import SQL, Database, fn

from shared import clock
from shared.engines import Bindings
from shared.engines import Connection as Writer
from shared.entities import ENDED, Lease
from shared.errors import SessionEndedError, SessionNotFoundError
from shared.live.entities import CATCHING_UP, LIVE, REPLACED, Connection, Delivered, Progress, Replaying
from shared.live.statements import LiveStatements
from shared.models import ConnectionRow, MessageRow, SessionDeliveryRow, SessionRow
from shared.rows import json_text
from shared.statements import P
from shared.writes import LEASE, Change

_Bound = Callable[[], tuple[str, Bindings]]
_UNFINISHED = SQL("state IN ('replaying', 'catching_up')")


class SqliteLiveWrites:
    """See `shared.live.writes.LiveWrites`."""

    def __init__(self, statements: "SqliteLiveStatements") -> None:
        self._sql = statements

    def connect(self, connection: Connection, token: str) -> Change[None]:
        """Add a connection; see `LiveWrites.connect`."""
        row = (*connection, token)

        def run(writer: Writer, repeat: bool) -> None:
            status, last = self._status(writer, connection.session_id)
            if status == ENDED:
                raise SessionEndedError
            if writer.execute(self._sql.connection_state, (connection.connection_id,)).fetchall():
                return
            mine = (_until(), connection.session_id, connection.user_id)
            replaced = len(writer.execute(self._sql.replace, mine).fetchall())
            writer.execute(self._sql.insert_connection, (*row, _until()))
            writer.execute(self._sql.count_connection, (connection.session_id, last, 1 - replaced))

        return Change(run)

    def _status(self, writer: Writer, session_id: str) -> tuple[str, int]:
        """The status and the last sequence of a session. Raises `SessionNotFoundError`."""
        for status, last in writer.execute(self._sql.status_and_sequence, (session_id,)).fetchall():
            return status, last
        raise SessionNotFoundError

    def remove(self, session_id: str, connection_ids: Sequence[str]) -> Change[None]:
        """Remove connections of a session."""

        def run(writer: Writer, repeat: bool) -> None:
            self._remove(writer, session_id, connection_ids)

        return Change(run)

    def _remove(self, writer: Writer, session_id: str, connection_ids: Sequence[str]) -> None:
        gone = (session_id, json_text(tuple(connection_ids)))
        states = [state for (state,) in writer.execute(self._sql.delete_connections, gone).fetchall()]
        if number := sum(state != REPLACED for state in states):
            writer.execute(self._sql.uncount_connections, (number, session_id))
            writer.execute(self._sql.delete_delivery, (session_id,))

    def take(self, session_id: str, handed: str, token: str) -> Change[bool]:
        """Take the lease of a delivery."""
        return self._found(lambda: (self._sql.take, (token, _until(), session_id, clock.now(), handed, token)))

    def renew(self, lease: Lease) -> Change[bool]:
        """Renew the lease of a delivery."""
        return self._found(lambda: (self._sql.renew, (_until(), lease.session_id, lease.token)))

    def settle(self, lease: Lease, page: Delivered) -> Change[Progress]:
        """Record what was delivered; see `LiveWrites.settle`."""

        def run(writer: Writer, repeat: bool) -> Progress:
            recorded = (page.delivered, _until(), lease.session_id, lease.token)
            if not writer.execute(self._sql.record, recorded).fetchall():
                return Progress.LOST
            for connection_id, position in page.behind:
                writer.execute(self._sql.leave_behind, (position, lease.token, _until(), connection_id))
            if page.gone:
                self._remove(writer, lease.session_id, page.gone)
            status, last = self._status(writer, lease.session_id)
            if last > page.delivered or (status == ENDED and not page.closed):
                return Progress.MORE
            writer.execute(self._sql.give_back, (lease.session_id, lease.token))
            return Progress.DONE

        return Change(run)

    def give_back(self, lease: Lease) -> Change[None]:
        """Give the lease back."""

        def run(writer: Writer, repeat: bool) -> None:
            writer.execute(self._sql.give_back, (lease.session_id, lease.token))

        return Change(run, atomic=True)

    def take_replay(self, session_id: str, connection_id: str, handed: str, token: str) -> Change[Replaying | None]:
        """Take the lease of a replay."""

        def run(writer: Writer, repeat: bool) -> Replaying | None:
            row = (token, _until(), connection_id, session_id, clock.now(), handed, token)
            for *connection, state, position in writer.execute(self._sql.take_replay, row).fetchall():
                _status, last = self._status(writer, session_id)
                return Replaying(Connection(*connection), state, position, last)
            return None

        return Change(run, atomic=True)

    def advance(self, session_id: str, connection_id: str, token: str, position: int) -> Change[bool]:
        """Record how far a replay is."""
        return self._found(lambda: (self._sql.advance, (position, _until(), connection_id, token)))

    def go_live(self, session_id: str, connection_id: str, token: str, position: int) -> Change[tuple[Progress, int]]:
        """Make a connection live; see `LiveWrites.go_live`."""

        def run(writer: Writer, repeat: bool) -> tuple[Progress, int]:
            states = writer.execute(self._sql.replay_state, (connection_id, token)).fetchall()
            if not states or states == [(REPLACED,)]:
                return Progress.LOST, position
            status, last = self._status(writer, session_id)
            if states == [(LIVE,)]:  # by an earlier attempt
                return Progress.DONE, last
            ready = last <= position and status != ENDED
            change = (LIVE, position, None) if ready else (CATCHING_UP, position, _until())
            writer.execute(self._sql.move, (*change, connection_id))
            if ready:
                return Progress.DONE, last
            return (Progress.MORE if last > position else Progress.ENDED), last

        return Change(run, atomic=True)

    @staticmethod
    def _found(statement: _Bound) -> Change[bool]:
        """A write that is True when it has changed a row."""

        def run(writer: Writer, repeat: bool) -> bool:
            return bool(writer.execute(*statement()).fetchall())

        return Change(run, atomic=True)


class SqliteLiveStatements(LiveStatements):
    """Every statement, for SQLite."""

    def __init__(self, dialect: Database) -> None:
        super().__init__(dialect, SessionDeliveryRow)

    @cached_property
    def counts(self) -> str:
        """See `LiveStatements.counts`."""
        return self.connected(SQL("(SELECT value FROM json_each(?))"))

    @staticmethod
    def ids(session_ids: Sequence[str]) -> str:
        """Session ids as a text."""
        return json_text(tuple(session_ids))

    # --- connections

    @cached_property
    def status_and_sequence(self) -> str:
        """(session_id) -> (status, sequence of the last message)"""
        last = MessageRow.select(fn.max(MessageRow.sequence)).where(MessageRow.session_id == SessionRow.id)
        return self.text(SessionRow.select(SessionRow.status, fn.coalesce(last, SQL("0"))).where(SessionRow.id == P))

    @cached_property
    def connection_state(self) -> str:
        """(connection_id) -> (state,)"""
        return self.text(ConnectionRow.select(ConnectionRow.state).where(ConnectionRow.connection_id == P))

    @cached_property
    def replay_state(self) -> str:
        """(connection_id, token) -> (state,)"""
        mine = (ConnectionRow.connection_id == P) & (ConnectionRow.lease_token == P)
        return self.text(ConnectionRow.select(ConnectionRow.state).where(mine))

    @cached_property
    def replace(self) -> str:
        """(until, session_id, user_id) -> a row for each connection that is replaced"""
        row = ConnectionRow
        changed = {row.state: SQL("'replaced'"), row.lease_token: SQL("NULL"), row.lease_until: P}
        mine = (row.session_id == P) & (row.user_id == P) & SQL("state <> 'replaced'")
        return self.text(row.update(changed).where(mine).returning(row.connection_id))

    @cached_property
    def insert_connection(self) -> str:
        """(connection_id, session_id, user_id, role, connected_at, token, until)"""
        row = ConnectionRow
        given = (row.connection_id, row.session_id, row.user_id, row.role, row.connected_at)
        lease = {row.lease_token: P, row.lease_until: P}
        fixed = {row.state: SQL("'replaying'"), row.position: SQL("0")}
        return self.text(row.insert(dict.fromkeys(given, P) | lease | fixed))

    @cached_property
    def delete_connections(self) -> str:
        """(session_id, connection ids as a JSON list) -> (state,) of each that was there"""
        row = ConnectionRow
        these = (row.session_id == P) & row.connection_id.in_(SQL("(SELECT value FROM json_each(?))"))
        return self.text(row.delete().where(these).returning(row.state))

    @cached_property
    def take_replay(self) -> str:
        """(token, until, connection_id, session_id, now, handed token, token) -> the connection, state and position"""
        row = ConnectionRow
        free = (row.lease_until < P) | row.lease_token.in_([P, P])
        these = (row.connection_id == P) & (row.session_id == P) & _UNFINISHED & free
        columns = (row.connection_id, row.session_id, row.user_id, row.role, row.connected_at, row.state, row.position)
        return self.text(row.update({row.lease_token: P, row.lease_until: P}).where(these).returning(*columns))

    @cached_property
    def advance(self) -> str:
        """(position, until, connection_id, token) -> a row unless the lease is lost"""
        row = ConnectionRow
        mine = (row.connection_id == P) & (row.lease_token == P) & _UNFINISHED
        changed = {row.position: P, row.lease_until: P}
        return self.text(row.update(changed).where(mine).returning(row.connection_id))

    @cached_property
    def move(self) -> str:
        """(state, position, until, connection_id)"""
        row = ConnectionRow
        return self.text(row.update({row.state: P, row.position: P, row.lease_until: P}).where(row.connection_id == P))

    @cached_property
    def leave_behind(self) -> str:
        """(position, token, until, connection_id); only a live one"""
        row = ConnectionRow
        changed = {row.position: P, row.lease_token: P, row.lease_until: P, row.state: SQL("'catching_up'")}
        return self.text(row.update(changed).where((row.connection_id == P) & (row.state == SQL("'live'"))))

    # --- deliveries

    @cached_property
    def count_connection(self) -> str:
        """(session_id, sequence of its last message, connections more); the first finds no row"""
        row = SessionDeliveryRow
        first = {row.session_id: SQL("?1"), row.delivered: SQL("?2"), row.connected: SQL("?3")}
        counted = {row.connected: SQL("connected + ?3")}
        return self.text(row.insert(first).on_conflict(conflict_target=(row.session_id,), update=counted))

    @cached_property
    def uncount_connections(self) -> str:
        """(number, session_id)"""
        row = SessionDeliveryRow
        return self.text(row.update({row.connected: row.connected - SQL("?")}).where(row.session_id == P))

    @cached_property
    def delete_delivery(self) -> str:
        """(session_id); only without connections"""
        row = SessionDeliveryRow
        return self.text(row.delete().where((row.session_id == P) & (row.connected == SQL("0"))))

    @cached_property
    def take(self) -> str:
        """(token, until, session_id, now, handed token, token) -> a row unless somebody else has the lease"""
        row = SessionDeliveryRow
        free = row.delivering_until.is_null() | (row.delivering_until < P) | row.delivery_token.in_([P, P])
        taken = {row.delivery_token: P, row.delivering_until: P}
        return self.text(row.update(taken).where((row.session_id == P) & free).returning(row.session_id))

    @cached_property
    def renew(self) -> str:
        """(until, session_id, token) -> a row unless the lease is lost"""
        row = SessionDeliveryRow
        mine = (row.session_id == P) & (row.delivery_token == P)
        return self.text(row.update({row.delivering_until: P}).where(mine).returning(row.session_id))

    @cached_property
    def record(self) -> str:
        """(delivered, until, session_id, token) -> a row unless the lease is lost"""
        row = SessionDeliveryRow
        mine = (row.session_id == P) & (row.delivery_token == P)
        recorded = {row.delivered: fn.max(row.delivered, SQL("?")), row.delivering_until: P}
        return self.text(row.update(recorded).where(mine).returning(row.session_id))

    @cached_property
    def give_back(self) -> str:
        """(session_id, token)"""
        row = SessionDeliveryRow
        mine = (row.session_id == P) & (row.delivery_token == P)
        return self.text(row.update({row.delivery_token: SQL("NULL"), row.delivering_until: SQL("NULL")}).where(mine))


def _until() -> str:
    return clock.ago(-LEASE)
