"""The SQL of the live classroom's reads, built by peewee as in `shared.statements`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

from peewee import JOIN, SQL, Database, Query, fn

from shared.models import ConnectionRow, MessageRow, SessionDeliveryRow, SessionHeadRow, SessionRow
from shared.statements import Dialect, P, history

_CURRENT = SQL("state <> 'replaced'")  # as the index has it
_REPLACED = SQL("state = 'replaced'")


Delivery = type[SessionDeliveryRow] | type[SessionHeadRow]
"""The model that has the columns of a delivery."""


class LiveStatements(Dialect, ABC):
    """The reads as SQL text, for the dialect of one engine."""

    def __init__(self, dialect: Database, delivery: Delivery) -> None:
        super().__init__(dialect)
        self._delivery = delivery

    @cached_property
    def delivery(self) -> str:
        """(session_id) -> (status, token of the lease, sequence that is delivered); no row without a delivery"""
        delivery = self._delivery
        columns = (SessionRow.status, delivery.delivery_token, delivery.delivered)
        return self.text(SessionRow.select(*columns).join(*self._of_session()).where(SessionRow.id == P))

    @cached_property
    def undelivered(self) -> str:
        """(session_id, session_id, limit) -> (sequence, *MESSAGE_COLUMNS) of the messages after the delivered one"""
        delivered = self._delivery.select(self._delivery.delivered).where(self._delivery.session_id == P)
        return self.text(history(after=delivered).limit(P))

    @cached_property
    def current(self) -> str:
        """(session_id) -> (connection_id, user_id, role, position, state) of the connections that are not replaced"""
        row = ConnectionRow
        columns = (row.connection_id, row.user_id, row.role, row.position, row.state)
        return self.text(row.select(*columns).where((row.session_id == P) & _CURRENT))

    @cached_property
    def participants(self) -> str:
        """(session_id) -> (user_id, role, connected_at), the first to come first"""
        row = ConnectionRow
        who = row.select(row.user_id, row.role, row.connected_at).where((row.session_id == P) & _CURRENT)
        return self.text(who.order_by(row.connected_at, row.user_id))

    @cached_property
    def replaced(self) -> str:
        """(session_id, user_id) -> (connection_id,)"""
        row = ConnectionRow
        mine = (row.session_id == P) & (row.user_id == P) & _REPLACED
        return self.text(row.select(row.connection_id).where(mine))

    @property
    @abstractmethod
    def counts(self) -> str:
        """(`ids` of sessions) -> (session_id, connections) of those that have some"""

    @staticmethod
    @abstractmethod
    def ids(session_ids: Sequence[str]) -> str:
        """Session ids as one parameter."""

    def connected(self, sessions: SQL) -> str:
        """The statement `counts` for these sessions."""
        delivery = self._delivery
        some = delivery.session_id.in_(sessions) & (delivery.connected > SQL("0"))
        return self.text(delivery.select(delivery.session_id, delivery.connected).where(some))

    # --- what dead containers left

    @cached_property
    def outstanding_sessions(self) -> str:
        """(now, limit) -> (session_id,) of sessions with live connections that nobody delivers to, and should"""
        delivery = self._delivery
        last = MessageRow.select(fn.max(MessageRow.sequence)).where(MessageRow.session_id == SessionRow.id)
        due = (fn.coalesce(last, SQL("0")) > delivery.delivered) | (SessionRow.status == SQL("'ended'"))
        nobody = delivery.delivering_until.is_null() | (delivery.delivering_until < P)
        live = ConnectionRow.select(ConnectionRow.session_id).distinct().where(ConnectionRow.state == SQL("'live'"))
        sessions = SessionRow.select(SessionRow.id).join(*self._of_session())
        return self.text(sessions.where(SessionRow.id.in_(live) & nobody & due).limit(P))

    @cached_property
    def expired_replays(self) -> str:
        """(now, limit) -> (session_id, connection_id) of connections whose replay has lost its lease"""
        row = ConnectionRow
        unfinished = row.state.in_([SQL("'replaying'"), SQL("'catching_up'")])
        return self.text(self._ids().where(unfinished & (row.lease_until < P)).limit(P))

    @cached_property
    def left_replaced(self) -> str:
        """(now, limit) -> (session_id, connection_id) of replaced connections that should be closed by now"""
        return self.text(self._ids().where(_REPLACED & (ConnectionRow.lease_until < P)).limit(P))

    @cached_property
    def old(self) -> str:
        """(time of the handshake, limit) -> (session_id, connection_id) of connections from before"""
        return self.text(self._ids().where(ConnectionRow.connected_at < P).limit(P))

    @cached_property
    def leased(self) -> str:
        """(now, now) -> a row when a delivery or a replay has a lease"""
        delivery = self._delivery
        sessions = ConnectionRow.select(ConnectionRow.session_id)
        deliveries = delivery.select(SQL("1")).where(
            delivery.session_id.in_(sessions) & (delivery.delivering_until >= P)
        )
        replays = ConnectionRow.select(SQL("1")).where(ConnectionRow.lease_until >= P)
        return self.text(deliveries.union_all(replays).limit(SQL("1")))

    @staticmethod
    def _ids() -> Query:
        return ConnectionRow.select(ConnectionRow.session_id, ConnectionRow.connection_id)

    def _of_session(self) -> tuple[Delivery, str, object]:
        return self._delivery, JOIN.INNER, self._delivery.session_id == SessionRow.id
