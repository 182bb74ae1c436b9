"""Passwords: which are accepted, how they are hashed, and how they are verified.

Hashing is CPU-bound and takes tens of milliseconds by design. It runs in a worker thread without a
database connection. `services/hashing_queue.py` schedules it and limits the number of concurrent
hashes, so that many concurrent sign-ins do not slow down other requests.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from unicodedata import normalize

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from database.greenlets import run_in_thread
from domain.errors import PasswordRejected
from services import password_strength, process
from services.hashing_queue import Client
from services.process import configuration

_HASH_BYTES = 32
_SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a password matches its hash, and whether the hash uses outdated parameters."""

    matches: bool
    outdated: bool = False


@run_in_thread
def require_strong(password: str, *, email: str, name: str) -> None:
    """Refuse a password that is easily guessed. The contract has already limited its length.

    Raises:
        PasswordRejected: it is a common password, or derived from the user's email or name.
    """
    password = _normalise(password)  # rate the same text that is hashed
    user_inputs = [_normalise(part) for part in (email, *email.split("@"), name, *name.split())]
    if password.casefold() in {part.casefold() for part in user_inputs}:
        raise PasswordRejected("it is your email or your name")
    if password_strength.is_easily_guessed(password, user_inputs):
        raise PasswordRejected("it is too easy to guess")


def require_capacity(client: Client) -> None:
    """Check early whether `hash_password` and `verify` would be refused now.

    Raises:
        PasswordHashingBusy: too many other passwords are being hashed.
    """
    process.state().hashing_queue.require_capacity(client)


@run_in_thread
def hash_password(password: str, client: Client) -> str:
    """Return the Argon2id hash (RFC 9106) of a password in the PHC string format.

    Raises:
        PasswordHashingBusy: too many other passwords are being hashed.
    """
    with process.state().hashing_queue.slot(client):
        return _hasher().hash(_normalise(password))


@run_in_thread
def verify(password: str, password_hash: str | None, client: Client) -> Verification:
    """Verify a password against its hash. Without a hash, fail after the same time.

    Raises:
        PasswordHashingBusy: too many other passwords are being hashed.
    """
    hasher = _hasher()
    with process.state().hashing_queue.slot(client):
        try:
            # For an unknown email, verify a dummy hash. This takes as long as a real hash, so that
            # response times do not reveal registered emails (user enumeration by a timing attack).
            hasher.verify(password_hash or _dummy_hash(hasher), _normalise(password))
        except (VerificationError, InvalidHashError):
            return Verification(matches=False)
    # True if the hash has other Argon2 parameters than the settings. The sign-in then replaces it.
    return Verification(matches=True, outdated=hasher.check_needs_rehash(password_hash or ""))


def _normalise(password: str) -> str:
    # Unicode can encode the same character in several ways, and keyboards differ in which they use.
    # NFKC maps all of them to one form (NIST SP 800-63B, section 3.1.1.2).
    return normalize("NFKC", password)


def _hasher() -> PasswordHasher:
    settings = configuration()
    return _hasher_with(
        settings.argon2_time_cost, settings.argon2_memory_kib, settings.argon2_parallelism
    )


@cache
def _hasher_with(time_cost: int, memory_kib: int, parallelism: int) -> PasswordHasher:
    return PasswordHasher(
        time_cost, memory_kib, parallelism, _HASH_BYTES, _SALT_BYTES, type=Type.ID
    )


@cache
def _dummy_hash(hasher: PasswordHasher) -> str:
    """Return a random hash that no password matches, for sign-ins with an unknown email."""
    salt, digest = (
        b64encode(secrets.token_bytes(size)).rstrip(b"=").decode()
        for size in (_SALT_BYTES, _HASH_BYTES)
    )
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"
