"""Everything about a person as one JSON document, in chunks: it is never completely in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from handlers import representations
from handlers.representations import Representation
from handlers.responses import to_json
from services.personal_data import MailRecord, OrderRecord, PersonalData, StoredSession

# Large enough to need few network writes, small enough to hold in memory.
_CHUNK_BYTES = 1 << 16


def as_json(data: PersonalData) -> Iterator[bytes]:
    """Return the contract's PersonalData as chunks of JSON."""
    return _chunks(_parts(data))


def _parts(data: PersonalData) -> Iterator[bytes]:
    yield b'{"user":' + to_json(representations.user(data.user))
    yield from _member("sessions", data.sessions, _session)
    yield from _member("orders", data.orders, _order)
    yield from _member("security_events", data.security_events, representations.security_event)
    yield from _member("mails", data.mails, _mail)
    yield b"}"


def _member(
    name: str, rows: Iterable[Any], represent: Callable[[Any], Representation]
) -> Iterator[bytes]:
    """Return a list as a member of the document."""
    yield b',"%b":[' % name.encode()
    separator = b""
    for row in rows:
        yield separator + to_json(represent(row))
        separator = b","
    yield b"]"


def _chunks(parts: Iterator[bytes]) -> Iterator[bytes]:
    chunk = bytearray()
    for part in parts:
        chunk += part
        if len(chunk) >= _CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk)


def _session(row: StoredSession) -> Representation:
    return {
        "id": row.id,
        "created_at": row.created_at,
        "last_used_at": row.last_used_at,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
        "address": row.address,
        "user_agent": representations.printable(row.user_agent),
    }


def _order(row: OrderRecord) -> Representation:
    return {
        "order": representations.order(row.order),
        "events": list(map(representations.order_event, row.events)),
        # Without the secrets of open payments: people store this file, or send it to others.
        "payments": [
            {**representations.payment(payment), "client_secret": None, "redirect_url": None}
            for payment in row.payments
        ],
        "refunds": list(map(representations.refund, row.refunds)),
    }


def _mail(row: MailRecord) -> Representation:
    return {
        "kind": row.kind,
        "subject_id": row.subject_id,
        "created_at": row.created_at,
        "outcome": row.outcome,
        "done_at": row.done_at,
    }
