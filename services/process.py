"""The state of this process, bound once at start like its database.

All process-wide mutable state except the database binding is here, so that a test or a server
replaces all of it at once with `bind`. Functions of `services`, `handlers` and `orderly` read it;
nothing else of this process survives between two requests.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from services.configuration import Configuration

# Password checks that may wait for each one that runs; a further one is refused with 503.
_WAITING_PER_HASH = 8


@dataclass(slots=True)
class RevokedSessions:
    """Sessions that were revoked while their access tokens had not expired.

    Written by one thread and read by all of them; each write replaces or adds one entry.
    """

    # Session id -> when to delete the entry, on `time.monotonic()`: its last token has expired.
    delete_at: dict[UUID, float] = field(default_factory=dict)
    # When the last successful refresh from the database began, on `time.monotonic()`.
    refreshed_at: float | None = None


class HashingSlots:
    """How many passwords are hashed at once, and how many requests may wait for a slot."""

    def __init__(self, slots: int) -> None:
        self.running = threading.Semaphore(slots)
        self.running_or_waiting = threading.Semaphore(slots * (1 + _WAITING_PER_HASH))


@dataclass(slots=True)
class ProcessState:
    """What a process keeps in memory from one request to the next."""

    configuration: Configuration
    hashing_slots: HashingSlots
    revoked_sessions: RevokedSessions = field(default_factory=RevokedSessions)
    # Access token -> (expiry in seconds since the epoch, principals): verified before.
    verified_tokens: dict[str, tuple[float, Any, Any]] = field(default_factory=dict)


class _Binding:
    """Holds the state; None until `bind`."""

    state: ProcessState | None = None


def bind(configuration: Configuration) -> None:
    """Start with a new state, which knows nothing yet, in place of any bound before."""
    _Binding.state = ProcessState(
        configuration, HashingSlots(configuration.password_hashes_at_once)
    )


def replace_signing_keys(signing_key: bytes, other_signing_keys: tuple[bytes, ...]) -> None:
    """Sign and verify access tokens with other keys from now on.

    Verified tokens are verified again if a key of theirs may have been removed.
    """
    current = state()
    old = {current.configuration.signing_key, *current.configuration.other_signing_keys}
    current.configuration = replace(
        current.configuration, signing_key=signing_key, other_signing_keys=other_signing_keys
    )
    if old - {signing_key, *other_signing_keys}:
        current.verified_tokens.clear()


def state() -> ProcessState:
    """Return the state of this process.

    Raises:
        RuntimeError: `bind` has not been called.
    """
    if _Binding.state is None:
        raise RuntimeError("services.process.bind() has not been called")
    return _Binding.state


def configuration() -> Configuration:
    """Return the configuration of this process.

    Raises:
        RuntimeError: `bind` has not been called.
    """
    return state().configuration
