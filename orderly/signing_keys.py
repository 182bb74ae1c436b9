"""Keeps the keys that sign access tokens, for a shop whose settings name none.

One line for each key, the newest first: the key, and from when it signs. A key is there a while
before it signs, so that all processes know it by then, and a while after, so that the tokens which
it has signed can be used to their end.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

FILE_NAME = "signing-key"
MINIMUM_BYTES = 32

# Servers look into the file every second.
LEAD = timedelta(seconds=10)
# Longer than any access token may live.
_KEPT_AFTERWARDS = timedelta(hours=25)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


class SigningKeyError(Exception):
    """The keys in the data directory can neither be read nor made; the message says why."""


@dataclass(frozen=True, slots=True)
class RingKey:
    """A key, and from when it signs."""

    key: bytes
    signs_from: datetime = _EVER


@dataclass(frozen=True, slots=True)
class Ring:
    """All keys that are accepted, the newest first."""

    keys: tuple[RingKey, ...]

    def signing(self, now: datetime) -> bytes:
        """Return the key to sign with: the newest that signs already."""
        return next((one.key for one in self.keys if one.signs_from <= now), self.keys[-1].key)

    def others(self, now: datetime) -> tuple[bytes, ...]:
        """Return the keys that are accepted besides."""
        signing = self.signing(now)
        return tuple(one.key for one in self.keys if one.key != signing)

    def rotated(self, now: datetime, *, at_once: bool) -> Ring:
        """Return the ring with a new key in front, without those that have had their time.

        `at_once` is for a key that others may have got hold of: no other key is accepted any more.
        """
        if at_once:
            return Ring((RingKey(_new(), now),))
        kept = []
        replaced_at = now + LEAD
        for one in self.keys:
            if replaced_at + _KEPT_AFTERWARDS > now:
                kept.append(one)
            replaced_at = one.signs_from
        return Ring((RingKey(_new(), now + LEAD), *kept))


def kept_in(directory: Path) -> Ring:
    """Return the keys kept in a directory; the first caller makes one, for its owner alone.

    Callers that come at once, in one process or in several, all get the same.

    Raises:
        SigningKeyError: the directory or the file cannot be used.
    """
    path = directory / FILE_NAME
    try:
        if not path.exists():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(path)
        return _parsed(path, path.read_text("ascii"))
    except OSError as error:
        raise SigningKeyError(f"{error.filename or path}: {error.strerror}") from error
    except ValueError as error:
        raise SigningKeyError(
            f"{path}: holds no signing key; remove it to have a new one made"
        ) from error


def rotate(directory: Path, *, at_once: bool = False) -> None:
    """Put a new key in front of those kept in a directory; it signs in a few seconds.

    Raises:
        SigningKeyError: the directory or the file cannot be used.
    """
    path = directory / FILE_NAME
    ring = kept_in(directory).rotated(datetime.now(UTC), at_once=at_once)
    try:
        draft = _draft(path, ring)
        draft.replace(path)
    except OSError as error:
        raise SigningKeyError(f"{error.filename or path}: {error.strerror}") from error


def _parsed(path: Path, text: str) -> Ring:
    keys = []
    for line in filter(None, map(str.strip, text.splitlines())):
        key, _, signs_from = line.partition(" ")
        if len(key) < MINIMUM_BYTES:
            raise ValueError(f"{path}: a key too short")
        moment = datetime.fromisoformat(signs_from) if signs_from else _EVER
        keys.append(RingKey(key.encode(), moment))
    if not keys:
        raise ValueError(f"{path}: no key")
    return Ring(tuple(keys))


def _make(path: Path) -> None:
    """Put a new key in place whole, unless another process has been faster."""
    draft = _draft(path, Ring((RingKey(_new()),)))
    try:
        # A link, unlike a rename, never replaces the key that others may be using already.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def _draft(path: Path, ring: Ring) -> Path:
    """Return a file beside the one to be, whole and readable by its owner alone."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        for one in ring.keys:
            stream.write(f"{one.key.decode()} {one.signs_from.isoformat()}\n")
        stream.flush()
        os.fsync(stream.fileno())
    return draft


def _new() -> bytes:
    return secrets.token_urlsafe(48).encode()
