"""The mutable state of this process, bound once at start like its database.

All process-wide mutable state is here, except the database binding. So a server or a test replaces
all of it with one call of `bind`. Nothing else is kept in memory from one request to the next.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from integrations.payments.provider import PaymentProvider
from services.configuration import Configuration
from services.hashing_queue import Client, HashingQueue
from services.in_flight import InFlight
from services.mail_setup import MailSetup


@dataclass(slots=True)
class RevokedSessions:
    """Sessions that were revoked recently, so that their access tokens may not have expired.

    Several threads read and write this without a lock: each write sets or deletes one entry, which
    is atomic.
    """

    # Session id -> the time on `time.monotonic()` when its last access token will have expired and
    # the entry can be deleted.
    delete_at: dict[UUID, float] = field(default_factory=dict)
    # When the last successful refresh from the database began, on `time.monotonic()`.
    refreshed_at: float | None = None


@dataclass(slots=True)
class ProcessState:
    """What a process keeps in memory from one request to the next."""

    configuration: Configuration
    hashing_queue: HashingQueue
    sign_ins_in_flight: InFlight[Client] = field(default_factory=InFlight)
    # By name; the first one is the default.
    payment_providers: Mapping[str, PaymentProvider] = field(default_factory=dict)
    # None: the shop sends no mail.
    mail: MailSetup | None = None
    # The number of mails that were refused, or could not be sent in time.
    mails_given_up: int = 0
    # The number of orders that this process has placed.
    orders_placed: int = 0
    # The number of payments and refunds whose state reconciliation could not find out in time.
    payment_checks_given_up: int = 0
    payments_in_flight: InFlight[str] = field(default_factory=InFlight)  # by user id
    payment_calls_in_flight: InFlight[str] = field(default_factory=InFlight)
    revoked_sessions: RevokedSessions = field(default_factory=RevokedSessions)
    # Event and subject -> the time on `time.monotonic()` before which it is not logged again.
    appended_events: dict[str, float] = field(default_factory=dict)
    # A cache of verified access tokens: token -> (expiry in seconds since the epoch, principals).
    verified_tokens: dict[str, tuple[float, Any, Any]] = field(default_factory=dict)
    # Whether the process will stop soon: it still serves requests, but is not ready.
    is_stopping: bool = False
    # On `time.monotonic()`
    started_at: float = field(default_factory=time.monotonic)


class _Binding:
    """Holds the state. None until `bind` is called."""

    state: ProcessState | None = None


def bind(
    configuration: Configuration,
    payment_providers: Mapping[str, PaymentProvider] | None = None,
    mail: MailSetup | None = None,
) -> None:
    """Bind a new, empty state. Replaces a state that was bound before."""
    queue = HashingQueue(
        configuration.password_hashes_at_once, configuration.password_hashes_waiting
    )
    _Binding.state = ProcessState(
        configuration, queue, payment_providers=dict(payment_providers or {}), mail=mail
    )


def replace_signing_keys(signing_key: bytes, other_signing_keys: tuple[bytes, ...]) -> None:
    """Sign access tokens with `signing_key`, and verify them with any of these keys.

    Clears the cache of verified tokens if a key was removed.
    """
    current = state()
    old_keys = {current.configuration.signing_key, *current.configuration.other_signing_keys}
    current.configuration = replace(
        current.configuration, signing_key=signing_key, other_signing_keys=other_signing_keys
    )
    if old_keys - {signing_key, *other_signing_keys}:
        current.verified_tokens.clear()


def stop() -> None:
    """Make the readiness check fail from now on. A signal handler may call this."""
    if _Binding.state is not None:
        _Binding.state.is_stopping = True


def is_stopping() -> bool:
    """Return whether `stop` was called. False for a process without state, such as the mock."""
    return _Binding.state is not None and _Binding.state.is_stopping


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
