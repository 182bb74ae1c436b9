"""Keeps the key that signs access tokens, for a shop whose settings name none."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

FILE_NAME = "signing-key"
MINIMUM_BYTES = 32


class SigningKeyError(Exception):
    """The key in the data directory can neither be read nor made; the message says why."""


def kept_in(directory: Path) -> bytes:
    """Return the key kept in a directory; the first caller makes it, readable by its owner alone.

    Callers that come at once, in one process or in several, all get the same key.

    Raises:
        SigningKeyError: the directory or the file cannot be used.
    """
    path = directory / FILE_NAME
    try:
        if not path.exists():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(path)
        key = path.read_bytes().strip()
    except OSError as error:
        raise SigningKeyError(f"{error.filename or path}: {error.strerror}") from error
    if len(key) < MINIMUM_BYTES:
        raise SigningKeyError(f"{path}: holds no signing key; remove it to have a new one made")
    return key


def _make(path: Path) -> None:
    """Put a new key in place whole, unless another process has been faster."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_urlsafe(48).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        # A link, unlike a rename, never replaces the key that others may be using already.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
