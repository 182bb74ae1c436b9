"""Rate limits for attempts that could guess a secret or use up the server's capacity.

Attempts are counted in the database, for all processes together. Several quotas can apply to one
attempt. If one of them refuses the attempt, the attempt does not count against the others.
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
from services import process
from services.hashing_queue import Client
from services.in_flight import InFlight, Key
from services.process import configuration

# Many clients, such as those of an office, share the quota of a network (`Actor.network`). Clients
# on all networks share the quota of an account. These shared quotas are 10 times larger than the
# narrow quota for the same kind of attempt.
_SHARED_QUOTA_FACTOR = 10
# The quotas of all sign-ins are 3 times larger than those of failed sign-ins.
_TOTAL_FACTOR = 3
# How many attempts from one network to one account, or how many calls to payment providers for one
# user, a process handles at the same time.
_MAX_IN_FLIGHT = 2

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


class PasswordAttempt(NamedTuple):
    """A counted attempt with a password. `failures` is the part to refund if it is correct."""

    counted: list[CountedAttempt]
    failures: list[CountedAttempt]


@contextmanager
def limit_concurrent_sign_ins(client: Client) -> Iterator[None]:
    """Limit the concurrent attempts of one network to sign in to one account.

    Raises:
        TooManyAttempts: too many of them are being processed.
    """
    in_flight = process.state().sign_ins_in_flight
    with _in_flight(in_flight, client, "sign_in_concurrent", client.network):
        yield


@contextmanager
def limit_payment_attempts(actor: Actor) -> Iterator[None]:
    """Count an attempt of a user to create or cancel a payment; limit the concurrent ones.

    Each can call the payment provider. The concurrent calls of a process are limited, so one user
    must not take up all of them.

    Raises:
        TooManyAttempts: by this user, or too many of the user's attempts are being processed.
    """
    user = str(actor.user_id)
    with _in_flight(process.state().payments_in_flight, user, "payment_concurrent", user):
        _count(Quota("payment", configuration().payment_limit, _TEN_MINUTES), user)
        yield


@contextmanager
def _in_flight(in_flight: InFlight[Key], key: Key, policy: str, subject: str) -> Iterator[None]:
    with in_flight.enter(key, _MAX_IN_FLIGHT) as is_allowed:
        if not is_allowed:
            raise TooManyAttempts(
                policy=policy,
                quota=_MAX_IN_FLIGHT,
                window_seconds=1,
                retry_after=1,
                bucket=_bucket(policy, subject),
            )
        yield


def count_sign_in(actor: Actor, email: str) -> PasswordAttempt:
    """Count an attempt to sign in against the quotas of all attempts and of failures.

    If the attempt succeeds, the caller refunds its `failures`.

    An attacker on many networks can exhaust an account's quota of failures for unknown networks.
    Networks from which the user has signed in before are exempt from that quota.

    Raises:
        TooManyAttempts: from this network, from this network to this account, or to this account.
    """
    limit = configuration().sign_in_limit
    network, pair = actor.network, f"{actor.network} {email}"
    shared = limit * _SHARED_QUOTA_FACTOR
    failures = [
        (Quota("sign_in", limit, _TEN_MINUTES), pair),
        (Quota("sign_in_network", shared, _TEN_MINUTES), network),
    ]
    if not _is_known_network(email=email, network=network):
        failures.append((Quota("sign_in_account", shared, _TEN_MINUTES), email))
    attempts = [
        (Quota("sign_in_total", limit * _TOTAL_FACTOR, _TEN_MINUTES), pair),
        (Quota("sign_in_account_total", shared * _TOTAL_FACTOR, _TEN_MINUTES), email),
        (Quota("sign_in_network_total", shared * _SHARED_QUOTA_FACTOR, _TEN_MINUTES), network),
    ]
    counted = _count_all([*failures, *attempts])
    return PasswordAttempt(counted, counted[: len(failures)])


def count_registration(actor: Actor, email: str) -> list[CountedAttempt]:
    """Count an attempt to register. Successful attempts are not refunded.

    The network's quota is as small as the email's, since registering many accounts from one network
    is the abuse that it prevents.

    Raises:
        TooManyAttempts: from this network, or with this email.
    """
    limit = configuration().registration_limit
    return _count_all(
        [
            (Quota("registration", limit, _HOUR), email),
            (Quota("registration_network", limit, _HOUR), actor.network),
        ]
    )


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
    """Count an attempt to change a password, or to delete an account, with the current password.

    Raises:
        TooManyAttempts: from this network, or by this user.
    """
    return _count_all(_password_change_quotas(actor))


def count_mail_token(actor: Actor) -> list[CountedAttempt]:
    """Count an attempt to use a token from a mail.

    Raises:
        TooManyAttempts: from this network.
    """
    limit = configuration().password_change_limit
    return [_count(Quota("mail_token_network", limit, _TEN_MINUTES), actor.network)]


def count_account_mail(actor: Actor, recipient: str) -> list[CountedAttempt]:
    """Count a request to send a mail to a user, or to an address, registered or not.

    Raises:
        TooManyAttempts: from this network, or to this recipient.
    """
    return _count_all(_account_mail_quotas(actor, recipient))


def count_email_change(actor: Actor, email: str) -> PasswordAttempt:
    """Count an attempt to change the actor's address, and the mail to the new one.

    Raises:
        TooManyAttempts: from this network, by this user, or to this address.
    """
    failures = _password_change_quotas(actor)
    by_user = Quota("account_mail", configuration().account_mail_limit, _HOUR)
    mails = [(by_user, str(actor.user_id)), *_account_mail_quotas(actor, email)]
    counted = _count_all([*failures, *mails])
    return PasswordAttempt(counted, counted[: len(failures)])


def _account_mail_quotas(actor: Actor, recipient: str) -> list[tuple[Quota, str]]:
    limit = configuration().account_mail_limit
    return [
        (Quota("account_mail", limit, _HOUR), recipient),
        (Quota("account_mail_network", limit * _SHARED_QUOTA_FACTOR, _HOUR), actor.network),
    ]


def _password_change_quotas(actor: Actor) -> list[tuple[Quota, str]]:
    limit = configuration().password_change_limit
    network_quota = Quota("password_change_network", limit * _SHARED_QUOTA_FACTOR, _TEN_MINUTES)
    return [
        (Quota("password_change", limit, _TEN_MINUTES), str(actor.user_id)),
        (network_quota, actor.network),
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


def _count_all(quotas: list[tuple[Quota, str]]) -> list[CountedAttempt]:
    """Count an attempt against all of these quotas, or against none if one refuses it.

    The narrowest quota comes first: a client that it refuses must not use up a shared quota.
    """
    counted: list[CountedAttempt] = []
    try:
        for quota, subject in quotas:
            counted.append(_count(quota, subject))
    except TooManyAttempts:
        refund(counted)
        raise
    return counted


@autocommit
def _count(quota: Quota, subject: str) -> CountedAttempt:
    bucket = _bucket(quota.policy, subject)
    attempt = throttle.TAKE.one(bucket=bucket, interval=quota.interval, window=quota.seconds)
    if attempt is None or not attempt.allowed:
        # TAKE always returns a row. The type of `one` also allows None.
        wait_seconds = attempt.wait_seconds if attempt else quota.interval
        raise TooManyAttempts(
            policy=quota.policy,
            quota=quota.attempts,
            window_seconds=quota.seconds,
            retry_after=max(1, math.ceil(wait_seconds)),
            bucket=bucket,
        )
    return CountedAttempt(quota, bucket)


def _bucket(policy: str, subject: str) -> str:
    # A digest, so that the table contains no emails and its keys are short.
    return f"{policy}:{blake2b(subject.encode(), digest_size=16).hexdigest()}"


@autocommit
def _is_known_network(*, email: str, network: str) -> bool:
    if not network:
        return False
    return sessions.FIND_KNOWN_NETWORK.one(email=email, network=network) is not None
