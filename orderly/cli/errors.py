"""What may go wrong in a command without a fault of Orderly's, and how it is told."""

from __future__ import annotations

from peewee import PeeweeException
from playhouse.migrations import MigrationError

from domain.errors import DomainError, Unavailable
from orderly.contract.bundle import DocumentError
from orderly.server.listen_socket import AddressError

_EXPECTED: list[type[Exception]] = [
    AddressError,
    DocumentError,
    DomainError,
    MigrationError,
    OSError,
    PeeweeException,
]
try:
    from orderly.embedded import EmbeddedDatabaseError
except ImportError:  # a system that has no embedded PostgreSQL
    pass
else:
    _EXPECTED.append(EmbeddedDatabaseError)

EXPECTED = tuple(_EXPECTED)


def in_words(error: Exception) -> str:
    """Return what went wrong and, where the database is why, its first word on that."""
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}."
    told = str(error).strip()
    if isinstance(error, PeeweeException):
        told = told.partition("\n")[0]
    cause = error.__cause__
    if isinstance(error, Unavailable) and cause is not None:
        told = f"{told} ({str(cause).strip().partition(chr(10))[0]})"
    return told
