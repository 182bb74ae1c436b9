"""Passwords: which are accepted, and how they are kept so that nobody can read them back.

Hashing takes tens of milliseconds of a core by design. It is done with no connection checked out,
and only so much of it at once, so that a flood of sign-ins leaves the rest of the shop alone.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from unicodedata import normalize

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from database.greenlets import aside
from domain.errors import PasswordRejected, Unavailable
from services import process
from services.process import configuration

_HASH_BYTES = 32
_SALT_BYTES = 16

# zxcvbn raises for longer ones, and takes long for them; the first 72 characters tell enough.
_RATED_CHARACTERS = 72
# Of 0 to 4. Below 2 lies what a million guesses find: common passwords, runs, repetitions, and
# anything built on the person's own name.
_LEAST_SCORE = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a password is the right one, and whether its hash is still made as it should be."""

    right: bool
    outdated: bool = False


@aside
def check(password: str, *, email: str, name: str) -> None:
    """Refuse a password that is easily guessed. How long it is, is for the contract to say.

    Raises:
        PasswordRejected: it is a common one, or made of the person's own email or name.
    """
    # Takes 14 MiB, which processes that nobody registers with can do without.
    from zxcvbn import zxcvbn  # noqa: PLC0415

    person = [email, *email.split("@"), name, *name.split()]
    if password.casefold() in {part.casefold() for part in person}:
        raise PasswordRejected("it is your own email or name")
    with _turn():
        rating = zxcvbn(password[:_RATED_CHARACTERS], user_inputs=person)
    if rating["score"] < _LEAST_SCORE:
        raise PasswordRejected("it is too easily guessed")


@aside
def hashed(password: str) -> str:
    """Return the Argon2id hash (RFC 9106) of a password, in its PHC text form.

    Raises:
        Unavailable: too many others are waiting for theirs.
    """
    with _turn():
        return _hasher().hash(_canonical(password))


@aside
def verified(password: str, password_hash: str | None) -> Verdict:
    """Tell whether a password is the one that was hashed. Without a hash it takes as long.

    Raises:
        Unavailable: too many others are waiting for their turn.
    """
    hasher = _hasher()
    with _turn():
        try:
            hasher.verify(password_hash or _dummy(hasher), _canonical(password))
        except (VerificationError, InvalidHashError):
            return Verdict(right=False)
    return Verdict(right=True, outdated=hasher.check_needs_rehash(password_hash or ""))


def _canonical(password: str) -> str:
    # The same characters, whatever the keyboard composed them of (NIST SP 800-63B, 3.1.1.2).
    return normalize("NFKC", password)


def _hasher() -> PasswordHasher:
    settings = configuration()
    return _hasher_of(
        settings.argon2_time_cost, settings.argon2_memory_kib, settings.argon2_parallelism
    )


@cache
def _hasher_of(time_cost: int, memory_kib: int, parallelism: int) -> PasswordHasher:
    return PasswordHasher(
        time_cost, memory_kib, parallelism, _HASH_BYTES, _SALT_BYTES, type=Type.ID
    )


@cache
def _dummy(hasher: PasswordHasher) -> str:
    """Return a hash that no password has, for those whose email nobody has."""
    salt, digest = (
        b64encode(secrets.token_bytes(size)).rstrip(b"=").decode()
        for size in (_SALT_BYTES, _HASH_BYTES)
    )
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"


@contextmanager
def _turn() -> Iterator[None]:
    slots = process.state().hashing_slots
    if not slots.running_or_waiting.acquire(blocking=False):
        raise Unavailable
    try:
        with slots.running:
            yield
    finally:
        slots.running_or_waiting.release()
