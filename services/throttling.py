"""How often somebody may try what could be guessed, or would wear the shop out.

Attempts are counted in the database, for all processes together. Several quotas may bear on one
attempt: the widest (a whole network) is asked first, so that one who is refused there uses up
nothing that others need.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from database.transactions import autocommit
from domain.actor import Actor
from domain.errors import TooManyAttempts, Unavailable
from models import session as sessions
from models import throttle
from services.process import configuration

# For a network, which may be an office's, and for an account, which may be guessed at from many.
_WIDER = 10

_TEN_MINUTES = 600
_MINUTE = 60
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Quota:
    """So many attempts at once, and as many again in so many seconds."""

    policy: str
    attempts: int
    seconds: int

    @property
    def interval(self) -> float:
        """After how many seconds one attempt comes back."""
        return self.seconds / self.attempts


class Pass(NamedTuple):
    """An attempt that was admitted, to be given back where it is not to count."""

    quota: Quota
    bucket: str


def to_sign_in(actor: Actor, email: str) -> list[Pass]:
    """Admit an attempt to sign in.

    A stranger can use up what there is for an account from unknown networks, if only by coming
    from many; whoever has signed in from their network before is not counted there.

    Raises:
        TooManyAttempts: of this network, of this network at this account, or of all the networks
            from which this account has never been signed in to.
    """
    limit = configuration().sign_in_limit
    network = actor.network
    passes = [
        _take(Quota("sign_in_network", limit * _WIDER, _TEN_MINUTES), network),
        _take(Quota("sign_in", limit, _TEN_MINUTES), f"{network} {email}"),
    ]
    if not _is_known(email=email, network=network):
        passes.append(_take(Quota("sign_in_account", limit * _WIDER, _TEN_MINUTES), email))
    return passes


def to_register(actor: Actor, email: str) -> list[Pass]:
    """Admit an attempt to register.

    Raises:
        TooManyAttempts: of this network, or with this email.
    """
    limit = configuration().registration_limit
    return [
        _take(Quota("registration_network", limit, _HOUR), actor.network),
        _take(Quota("registration", limit, _HOUR), email),
    ]


def to_refresh(actor: Actor) -> list[Pass]:
    """Admit an attempt to refresh a session, before it is known whose.

    Raises:
        TooManyAttempts: of this network.
    """
    limit = configuration().refresh_limit * _WIDER
    return [_take(Quota("refresh_network", limit, _MINUTE), actor.network)]


def to_refresh_account(user_id: object) -> list[Pass]:
    """Admit an attempt to refresh a session of an account.

    Raises:
        TooManyAttempts: of this account.
    """
    return [_take(Quota("refresh", configuration().refresh_limit, _MINUTE), str(user_id))]


def to_change_password(actor: Actor) -> list[Pass]:
    """Admit an attempt to change a password.

    Raises:
        TooManyAttempts: of this network, or of this account.
    """
    limit = configuration().password_change_limit
    return [
        _take(Quota("password_change_network", limit * _WIDER, _TEN_MINUTES), actor.network),
        _take(Quota("password_change", limit, _TEN_MINUTES), str(actor.user_id)),
    ]


@autocommit
def give_back(passes: list[Pass]) -> None:
    """Let admitted attempts not count: they succeeded, or could not be judged."""
    for quota, bucket in passes:
        throttle.GIVE_BACK.execute(bucket=bucket, interval=quota.interval)


@contextmanager
def judging(passes: list[Pass]) -> Iterator[None]:
    """Give attempts back that could not be judged, since there were too many at once."""
    try:
        yield
    except Unavailable:
        give_back(passes)
        raise


@autocommit
def _take(quota: Quota, subject: str) -> Pass:
    # Hashed: the table holds no emails, and its keys are short.
    digest = blake2b(subject.encode(), digest_size=16).hexdigest()
    bucket = f"{quota.policy}:{digest}"
    taken = throttle.TAKE.one(bucket=bucket, interval=quota.interval, window=quota.seconds)
    if taken is None or not taken.allowed:
        wait = taken.wait_seconds if taken else quota.interval
        raise TooManyAttempts(
            policy=quota.policy,
            quota=quota.attempts,
            window_seconds=quota.seconds,
            retry_after=max(1, math.ceil(wait)),
        )
    return Pass(quota, bucket)


@autocommit
def _is_known(*, email: str, network: str) -> bool:
    if not network:
        return False
    return sessions.FIND_KNOWN_NETWORK.one(email=email, network=network) is not None
