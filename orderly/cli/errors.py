"""The expected errors of a command (errors that are not bugs), and their messages."""

from __future__ import annotations

import errno
import os

from peewee import PeeweeException
from playhouse.migrations import MigrationError

from database.restore import DatabaseInUse, ShopNotEmpty
from domain.errors import DomainError, Unavailable
from orderly.backups.errors import BackupError
from orderly.contract.bundle import DocumentError
from orderly.server.listen_socket import AddressError

_EXPECTED: list[type[Exception]] = [
    AddressError,
    BackupError,
    DatabaseInUse,
    DocumentError,
    DomainError,
    MigrationError,
    OSError,
    PeeweeException,
    ShopNotEmpty,
]
try:
    from orderly.embedded import EmbeddedDatabaseError
except ImportError:  # a system without an embedded PostgreSQL
    pass
else:
    _EXPECTED.append(EmbeddedDatabaseError)

EXPECTED = tuple(_EXPECTED)


_NO_SPACE = os.strerror(errno.ENOSPC)


def message_of(error: Exception) -> str:
    """Return an error's message; of a database error only its first line.

    If a disk is full, return the line that says so, and the remedy.
    """
    message = _message_of(error)
    full = [line for line in message.splitlines() if _NO_SPACE in line]
    if full:
        return f"A disk is full. Free space, then repeat the command. ({full[-1].strip()})"
    return message


def _message_of(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}."
    message = (str(error) or error.__doc__ or "").strip()
    if isinstance(error, PeeweeException):
        message = _first_line(message)
    if isinstance(error, Unavailable) and error.__cause__ is not None:
        message = f"{message} ({_first_line(str(error.__cause__))})"
    return message


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
