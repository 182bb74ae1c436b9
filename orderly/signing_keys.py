"""Stores the access tokens' signing keys in the data directory, if ORDERLY_SIGNING_KEY is unset.

The file has one line per key, newest first: the key, and the time from which it signs. A new key is
written to the file `ACTIVATION_DELAY` before it signs, so that all processes have read it by then.
A retired key stays in the file until all tokens that it has signed have expired.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from orderly.file_permissions import why_directory_unsafe, why_unsafe

FILE_NAME = "signing-key"
MINIMUM_BYTES = 32

# How long a new key is accepted before it signs. Servers read the file every second.
ACTIVATION_DELAY = timedelta(seconds=10)
# Longer than the longest lifetime of an access token.
_RETENTION = timedelta(hours=25)
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


class SigningKeyError(Exception):
    """The keys in the data directory cannot be read or written; the message says why."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key, and the time from which it signs."""

    key: bytes
    signs_from: datetime = _ALWAYS


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All keys that are accepted, newest first."""

    keys: tuple[SigningKey, ...]

    def signing(self, now: datetime) -> bytes:
        """Return the key that signs now: the newest key whose `signs_from` has passed."""
        return next((one.key for one in self.keys if one.signs_from <= now), self.keys[-1].key)

    def others(self, now: datetime) -> tuple[bytes, ...]:
        """Return the other keys that are accepted."""
        signing = self.signing(now)
        return tuple(one.key for one in self.keys if one.key != signing)

    def rotated(self, now: datetime, *, at_once: bool) -> KeyRing:
        """Return a key ring with a new key, without the keys whose tokens have all expired.

        With `at_once`, the new key is the only one that is accepted: for keys that may have been
        stolen.
        """
        if at_once:
            return KeyRing((SigningKey(_new_key(), now),))
        accepted = []
        replaced_at = now + ACTIVATION_DELAY
        for one in self.keys:
            if replaced_at + _RETENTION > now:
                accepted.append(one)
            replaced_at = one.signs_from
        return KeyRing((SigningKey(_new_key(), now + ACTIVATION_DELAY), *accepted))


def load_or_create(directory: Path) -> KeyRing:
    """Return the keys in a directory. If there are none, create one, readable only by its owner.

    Concurrent callers, in one or in several processes, all get the same key.

    Raises:
        SigningKeyError: the directory or the file cannot be used, or another user can write to it.
    """
    path = directory / FILE_NAME
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if reason := why_directory_unsafe(directory):
            raise SigningKeyError(reason)
        if not path.exists():
            _create(path)
        return _parse(path, _read(path))
    except OSError as error:
        raise SigningKeyError(f"{error.filename or path}: {error.strerror}") from error
    except ValueError as error:
        raise SigningKeyError(
            f"{path}: contains no signing key. Delete the file to create a new key."
        ) from error


def rotate(directory: Path, *, at_once: bool = False) -> None:
    """Add a new key to those in a directory; it signs after a few seconds.

    Raises:
        SigningKeyError: there is no key, or the directory or the file cannot be used.
    """
    path = directory / FILE_NAME
    try:
        if not path.exists():  # the wrong directory: a new key there would look like a success
            raise SigningKeyError(
                f"{directory} has no signing key yet: the first start creates one. Name the data"
                " directory of the shop with --data-dir."
            )
        ring = load_or_create(directory).rotated(datetime.now(UTC), at_once=at_once)
        draft = _draft(path, ring)
        draft.replace(path)
    except OSError as error:
        raise SigningKeyError(f"{error.filename or path}: {error.strerror}") from error


def _read(path: Path) -> str:
    """Return the content of the file, unless another user could have written it."""
    with path.open(encoding="ascii") as file:
        if reason := why_unsafe(path, os.fstat(file.fileno())):
            raise SigningKeyError(f"{reason}. Delete the file to create a new key.")
        return file.read()


def _parse(path: Path, text: str) -> KeyRing:
    keys = []
    for line in filter(None, map(str.strip, text.splitlines())):
        key, _, signs_from = line.partition(" ")
        if len(key) < MINIMUM_BYTES:
            raise ValueError(f"{path}: a key is too short")
        moment = datetime.fromisoformat(signs_from) if signs_from else _ALWAYS
        keys.append(SigningKey(key.encode(), moment))
    if not keys:
        raise ValueError(f"{path}: no key")
    return KeyRing(tuple(keys))


def _create(path: Path) -> None:
    """Create the file with a new key, unless another process has created it."""
    draft = _draft(path, KeyRing((SigningKey(_new_key()),)))
    try:
        # A hard link, unlike a rename, never replaces a file that exists.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def _draft(path: Path, ring: KeyRing) -> Path:
    """Write the keys to a temporary file in the same directory, readable only by its owner."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        for one in ring.keys:
            stream.write(f"{one.key.decode()} {one.signs_from.isoformat()}\n")
        stream.flush()
        os.fsync(stream.fileno())
    return draft


def _new_key() -> bytes:
    return secrets.token_urlsafe(48).encode()
