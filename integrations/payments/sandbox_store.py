"""What the sandbox knows: its payments, its refunds, and the events that it still has to deliver.

The sandbox plays a system outside of the shop, so it has a database of its own: a SQLite file,
which all processes on a machine share and which survives a restart.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from domain.money import Money
from domain.payments import PaymentState, RefundState
from integrations.payments.provider import ProviderUnavailable

FILE_NAME = "sandbox-payments.sqlite3"

_LOCK_SECONDS = 4.0
_VERSION = 1
_SCHEMA = """
    CREATE TABLE signing (secret TEXT NOT NULL);
    CREATE TABLE payment (
        reference TEXT PRIMARY KEY, payment_id TEXT NOT NULL, amount INTEGER NOT NULL,
        currency TEXT NOT NULL, state TEXT NOT NULL, failure_code TEXT,
        needs_confirmation INTEGER NOT NULL DEFAULT 0, succeeds_at REAL
    );
    CREATE TABLE refund (
        reference TEXT PRIMARY KEY, refund_id TEXT NOT NULL,
        payment_reference TEXT NOT NULL REFERENCES payment, amount INTEGER NOT NULL,
        currency TEXT NOT NULL, state TEXT NOT NULL
    );
    CREATE TABLE event (
        id TEXT PRIMARY KEY, body BLOB NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
        due_at REAL NOT NULL
    );
"""


class StoredPayment(NamedTuple):
    """A payment at the sandbox."""

    reference: str
    payment_id: str
    amount: Money
    state: PaymentState
    failure_code: str | None
    needs_confirmation: bool


class StoredRefund(NamedTuple):
    """A refund at the sandbox."""

    reference: str
    refund_id: str
    payment_reference: str
    amount: Money
    state: RefundState


class StoredEvent(NamedTuple):
    """An event that was not delivered yet, and how often that was tried."""

    id: str
    body: bytes
    attempts: int


class SandboxStore:
    """The database of the sandbox in a directory. Its file is created when it is first used."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME

    def exists(self) -> bool:
        """Return whether anything was ever stored."""
        return self._path.exists()

    @contextmanager
    def change(self) -> Iterator[Changes]:
        """Run the block in one transaction, alone. An error rolls back.

        Raises:
            ProviderUnavailable: the file cannot be read or written.
        """
        try:
            with closing(self._connect()) as connection:
                _prepare(connection)
                connection.execute("BEGIN IMMEDIATE")
                with connection:
                    yield Changes(connection)
        except (sqlite3.Error, OSError) as error:
            raise ProviderUnavailable from error

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The file has a secret: only its owner may read it.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        return sqlite3.connect(self._path, timeout=_LOCK_SECONDS, isolation_level=None)


def _prepare(connection: sqlite3.Connection) -> None:
    # A crash of the machine may lose test data; a killed process does not.
    connection.execute("PRAGMA synchronous = OFF")
    if connection.execute("PRAGMA user_version").fetchone() != (_VERSION,):
        _create_tables(connection)


def _create_tables(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        # Another process may have created them since.
        if connection.execute("PRAGMA user_version").fetchone() == (_VERSION,):
            return
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute("INSERT INTO signing VALUES (?)", [secrets.token_urlsafe(32)])
        connection.execute(f"PRAGMA user_version = {_VERSION}")


class Changes:
    """Reads and writes of one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def secret(self) -> bytes:
        """Return the key that signs notifications."""
        ((secret,),) = self._rows("SELECT secret FROM signing")
        return str(secret).encode()

    def add_payment(self, reference: str, payment_id: str, amount: Money) -> None:
        """Add a payment, unless there is one with this reference."""
        self._rows(
            "INSERT INTO payment (reference, payment_id, amount, currency, state)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            *(reference, payment_id, amount.amount, amount.currency, PaymentState.PENDING),
        )

    def payment(self, reference: str) -> StoredPayment | None:
        """Return a payment, or None."""
        rows = self._rows(f"{_SELECT_PAYMENT} WHERE reference = ?", reference)
        return _payment(rows[0]) if rows else None

    def late_payments(self) -> list[StoredPayment]:
        """Return the payments that succeed now, since their time has come."""
        return [
            _payment(row)
            for row in self._rows(
                f"{_SELECT_PAYMENT} WHERE state = ? AND succeeds_at <= ?",
                *(PaymentState.PROCESSING, time.time()),
            )
        ]

    def set_state(
        self, reference: str, state: PaymentState, failure_code: str | None = None
    ) -> None:
        """Set the state of a payment."""
        self._rows(
            "UPDATE payment SET state = ?, failure_code = ?, succeeds_at = NULL"
            " WHERE reference = ?",
            *(state, failure_code, reference),
        )

    def ask_for_confirmation(self, reference: str) -> None:
        """Record that the customer has to confirm a payment."""
        self._rows("UPDATE payment SET needs_confirmation = 1 WHERE reference = ?", reference)

    def succeed_later(self, reference: str, seconds: float) -> None:
        """Let a payment succeed in some seconds; until then it is PROCESSING."""
        self._rows(
            "UPDATE payment SET state = ?, succeeds_at = ? WHERE reference = ?",
            *(PaymentState.PROCESSING, time.time() + seconds, reference),
        )

    def add_refund(self, refund: StoredRefund) -> None:
        """Add a refund."""
        self._rows(
            "INSERT INTO refund VALUES (?, ?, ?, ?, ?, ?)",
            *(refund.reference, refund.refund_id, refund.payment_reference),
            *(refund.amount.amount, refund.amount.currency, refund.state),
        )

    def refund(self, reference: str) -> StoredRefund | None:
        """Return a refund, or None."""
        rows = self._rows("SELECT * FROM refund WHERE reference = ?", reference)
        return _refund(rows[0]) if rows else None

    def amount_refunded(self, payment_reference: str) -> int:
        """Return the sum of a payment's refunds."""
        ((total,),) = self._rows(
            "SELECT coalesce(sum(amount), 0) FROM refund WHERE payment_reference = ?",
            payment_reference,
        )
        return int(total)

    def add_event(self, event_id: str, body: bytes) -> None:
        """Add an event, to be delivered now."""
        self._rows(
            "INSERT INTO event (id, body, due_at) VALUES (?, ?, ?)", event_id, body, time.time()
        )

    def due_events(self, limit: int) -> list[StoredEvent]:
        """Return the events to deliver now, oldest first."""
        return [
            StoredEvent._make(row)
            for row in self._rows(
                "SELECT id, body, attempts FROM event WHERE due_at <= ? ORDER BY rowid LIMIT ?",
                *(time.time(), limit),
            )
        ]

    def delete_event(self, event_id: str) -> None:
        """Delete an event that was delivered, or is given up."""
        self._rows("DELETE FROM event WHERE id = ?", event_id)

    def postpone_event(self, event_id: str, seconds: float) -> None:
        """Count a failed attempt; the next one is due in some seconds."""
        self._rows(
            "UPDATE event SET attempts = attempts + 1, due_at = ? WHERE id = ?",
            *(time.time() + seconds, event_id),
        )

    def _rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, parameters).fetchall()


_SELECT_PAYMENT = (
    "SELECT reference, payment_id, amount, currency, state, failure_code, needs_confirmation"
    " FROM payment"
)


def _payment(row: tuple[Any, ...]) -> StoredPayment:
    reference, payment_id, amount, currency, state, failure_code, needs_confirmation = row
    return StoredPayment(
        reference,
        payment_id,
        Money(amount, currency),
        PaymentState(state),
        failure_code,
        bool(needs_confirmation),
    )


def _refund(row: tuple[Any, ...]) -> StoredRefund:
    reference, refund_id, payment_reference, amount, currency, state = row
    return StoredRefund(
        reference, refund_id, payment_reference, Money(amount, currency), RefundState(state)
    )
