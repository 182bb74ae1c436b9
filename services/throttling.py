"""Rate limits for attempts that could guess a secret or use up the server's capacity.

Attempts are counted in the database, for all processes together. Several quotas can apply to one
attempt. The widest quota (for a whole network) is checked first: an attempt that it refuses uses
nothing of the narrower quotas, which other clients need.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from database.transactions import autocommit, autocommit_without_retry
from domain.actor import Actor
from domain.errors import TooManyAttempts, Unavailable
from models import session as sessions
from models import throttle
from services.process import configuration

# A quota that many clients share is 10 times larger than the narrower quota for the same kind of
# attempt. Clients share the quota of a network, for example an office (see `Actor.network`), and
# the quota of an account, which clients on many networks may sign in to.
_SHARED_QUOTA_FACTOR = 10

_TEN_MINUTES = 600
_MINUTE = 60
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Quota:
    """A rate limit: a number of attempts in a window of seconds, enforced by GCRA.

    `models/throttle.py` implements GCRA, the generic cell rate algorithm. `policy` is the name in
    the `RateLimit-Policy` header of the response.
    """

    policy: str
    attempts: int
    seconds: int

    @property
    def interval(self) -> float:
        """The emission interval of GCRA: the seconds until one used attempt is available again."""
        return self.seconds / self.attempts


class CountedAttempt(NamedTuple):
    """An attempt that was allowed and counted; `refund` undoes the counting."""

    quota: Quota
    bucket: str


def count_sign_in(actor: Actor, email: str) -> list[CountedAttempt]:
    """Count an attempt to sign in.

    An attacker on many networks can exhaust an account's quota for unknown networks. Networks from
    which the user has signed in before are exempt from that quota.

    Raises:
        TooManyAttempts: from this network, from this network to this account, or from all networks
            together that are unknown for this account.
    """
    limit = configuration().sign_in_limit
    network = actor.network
    counted = [
        _count(Quota("sign_in_network", limit * _SHARED_QUOTA_FACTOR, _TEN_MINUTES), network),
        _count(Quota("sign_in", limit, _TEN_MINUTES), f"{network} {email}"),
    ]
    if not _is_known_network(email=email, network=network):
        quota = Quota("sign_in_account", limit * _SHARED_QUOTA_FACTOR, _TEN_MINUTES)
        counted.append(_count(quota, email))
    return counted


def count_registration(actor: Actor, email: str) -> list[CountedAttempt]:
    """Count an attempt to register. Successful attempts are not refunded.

    The network's quota is as small as the email's, since registering many accounts from one network
    is the abuse that it prevents.

    Raises:
        TooManyAttempts: from this network, or with this email.
    """
    limit = configuration().registration_limit
    return [
        _count(Quota("registration_network", limit, _HOUR), actor.network),
        _count(Quota("registration", limit, _HOUR), email),
    ]


def count_refresh(actor: Actor) -> list[CountedAttempt]:
    """Count an attempt to refresh a session, before its user is known.

    Raises:
        TooManyAttempts: from this network.
    """
    limit = configuration().refresh_limit * _SHARED_QUOTA_FACTOR
    return [_count(Quota("refresh_network", limit, _MINUTE), actor.network)]


def count_account_refresh(user_id: object) -> list[CountedAttempt]:
    """Count an attempt to refresh a session of this user.

    Raises:
        TooManyAttempts: by this user.
    """
    return [_count(Quota("refresh", configuration().refresh_limit, _MINUTE), str(user_id))]


def count_password_change(actor: Actor) -> list[CountedAttempt]:
    """Count an attempt to change a password.

    Raises:
        TooManyAttempts: from this network, or by this user.
    """
    limit = configuration().password_change_limit
    network_quota = Quota("password_change_network", limit * _SHARED_QUOTA_FACTOR, _TEN_MINUTES)
    return [
        _count(network_quota, actor.network),
        _count(Quota("password_change", limit, _TEN_MINUTES), str(actor.user_id)),
    ]


@autocommit_without_retry
def refund(counted: list[CountedAttempt]) -> None:
    """Undo the counting of attempts that succeeded, or that the server was too busy to handle."""
    for quota, bucket in counted:
        throttle.REFUND.execute(bucket=bucket, interval=quota.interval)


@contextmanager
def refund_if_unavailable(counted: list[CountedAttempt]) -> Iterator[None]:
    """Refund the attempts if the block raises `Unavailable`."""
    try:
        yield
    except Unavailable:
        refund(counted)
        raise


@autocommit
def _count(quota: Quota, subject: str) -> CountedAttempt:
    # A digest keeps emails out of the table and its keys short.
    digest = blake2b(subject.encode(), digest_size=16).hexdigest()
    bucket = f"{quota.policy}:{digest}"
    attempt = throttle.TAKE.one(bucket=bucket, interval=quota.interval, window=quota.seconds)
    if attempt is None or not attempt.allowed:
        # TAKE always returns a row. The type of `one` also allows None.
        wait_seconds = attempt.wait_seconds if attempt else quota.interval
        raise TooManyAttempts(
            policy=quota.policy,
            quota=quota.attempts,
            window_seconds=quota.seconds,
            retry_after=max(1, math.ceil(wait_seconds)),
        )
    return CountedAttempt(quota, bucket)


@autocommit
def _is_known_network(*, email: str, network: str) -> bool:
    if not network:
        return False
    return sessions.FIND_KNOWN_NETWORK.one(email=email, network=network) is not None
