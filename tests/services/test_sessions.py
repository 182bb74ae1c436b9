"""Sign-in, refresh and logout, and the reuse of refresh tokens."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import jwt
import pytest

from database.binding import database
from domain.actor import Actor
from domain.errors import (
    InvalidCredentials,
    PasswordHashingBusy,
    RefreshRaced,
    SessionExpired,
    TooManyAttempts,
    Unavailable,
)
from services import access_tokens, passwords, process, sessions, users
from services.process import configuration
from tests.support.concurrency import run_concurrently
from tests.support.database import Sql
from tests.support.services import PASSWORD, make_actor

EMAIL = "ada@example.com"


@pytest.fixture
def ada(anonymous: Actor) -> users.User:
    return users.register(actor=anonymous, email="Ada@Example.COM", name="Ada", password=PASSWORD)


@pytest.fixture
def sign_in(ada: users.User, anonymous: Actor) -> sessions.SignIn:
    return sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)


def refresh(token: str, user_agent: str = "Firefox") -> sessions.SignIn:
    return sessions.refresh_session(
        actor=make_actor(None, None, user_agent=user_agent), refresh_token=token
    )


def test_the_access_token_identifies_the_user_and_the_session(
    ada: users.User, sign_in: sessions.SignIn
):
    assert sign_in.user == ada
    claims = access_tokens.verify(sign_in.access_token)
    assert claims is not None
    assert (ada.id, "CLIENT", sign_in.session.id) == (
        claims.user_id,
        claims.role,
        claims.session_id,
    )
    assert claims.expires_at == sign_in.access_expires_at.timestamp()
    lifetime = sign_in.refresh_expires_at - sign_in.session.created_at
    assert lifetime == timedelta(seconds=configuration().refresh_token_seconds)
    assert sign_in.refresh_expires_at == sign_in.session.expires_at


@pytest.mark.parametrize("email", ["ada@example.com", "ADA@EXAMPLE.COM", "Ada@Example.com"])
def test_emails_are_compared_without_regard_to_case(ada: users.User, anonymous: Actor, email: str):
    assert sessions.login(actor=anonymous, email=email, password=PASSWORD).user == ada


def test_passwords_are_compared_in_unicode_normalization_form(anonymous: Actor):
    composed, decomposed = "caf\u00e9 \u00fcber strudel", "cafe\u0301 u\u0308ber strudel"
    users.register(actor=anonymous, email=EMAIL, name="Ada", password=composed)

    sessions.login(actor=anonymous, email=EMAIL, password=decomposed)


@pytest.mark.parametrize(
    ("email", "password"),
    [(EMAIL, "blackberry strudel!"), (EMAIL, ""), ("eve@example.com", PASSWORD)],
)
def test_a_wrong_password_and_an_unknown_email_raise_the_same_error(
    ada: users.User, anonymous: Actor, email: str, password: str
):
    with pytest.raises(InvalidCredentials):
        sessions.login(actor=anonymous, email=email, password=password)


def test_an_unknown_email_costs_a_password_hash_too(
    ada: users.User, anonymous: Actor, monkeypatch: pytest.MonkeyPatch
):
    """This counts hashes and compares their parameters, since timing would be unreliable."""
    parameters = []
    original = passwords.PasswordHasher.verify

    def verify(self: Any, password_hash: str, password: str) -> bool:
        parameters.append(password_hash.rpartition("$")[0].rpartition("$")[0])
        return original(self, password_hash, password)

    monkeypatch.setattr(passwords.PasswordHasher, "verify", verify)

    for email in (EMAIL, "eve@example.com"):
        with pytest.raises(InvalidCredentials):
            sessions.login(actor=anonymous, email=email, password="wrong")

    assert len(parameters) == 2
    assert parameters[0] == parameters[1] == "$argon2id$v=19$m=8,t=1,p=1"


def test_a_disabled_account_is_rejected_like_a_wrong_password(
    ada: users.User, anonymous: Actor, sql: Sql, sign_in: sessions.SignIn
):
    sql("UPDATE users SET active = false")

    with pytest.raises(InvalidCredentials):
        sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)
    with pytest.raises(SessionExpired):
        refresh(sign_in.refresh_token)
    with pytest.raises(SessionExpired):
        users.get_me(actor=make_actor(ada.id, "CLIENT"))


def test_the_database_stores_no_password_or_refresh_token_in_plain_text(
    sign_in: sessions.SignIn, sql: Sql
):
    stored = "".join(
        str(row)
        for table in ("users", "session", "refresh_token")
        for row in sql(f"SELECT {table}::text FROM {table}")
    )

    assert PASSWORD not in stored
    assert sign_in.refresh_token not in stored
    assert "$argon2id$" in stored


def test_a_password_hash_with_other_parameters_is_replaced_at_sign_in(
    ada: users.User, anonymous: Actor, sql: Sql
):
    before = configuration()
    process.bind(replace(before, argon2_time_cost=2))

    sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)

    ((password_hash,),) = sql("SELECT password_hash FROM users")
    assert password_hash.startswith("$argon2id$v=19$m=8,t=2,p=1$")
    process.bind(before)
    sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)


def test_each_refresh_returns_a_new_token_of_the_same_session(sign_in: sessions.SignIn):
    seen = {sign_in.refresh_token}
    current = sign_in
    for _ in range(5):
        following = refresh(current.refresh_token)

        assert following.refresh_token not in seen
        assert following.session.id == sign_in.session.id
        assert following.refresh_expires_at > current.refresh_expires_at
        seen.add(following.refresh_token)
        current = following


def test_a_changed_role_is_in_the_next_access_token(sign_in: sessions.SignIn, sql: Sql):
    sql("UPDATE users SET role = 'ADMIN'")

    claims = access_tokens.verify(refresh(sign_in.refresh_token).access_token)

    assert claims is not None
    assert claims.role == "ADMIN"


def test_of_concurrent_refreshes_one_succeeds_and_the_session_continues(sign_in: sessions.SignIn):
    outcomes = run_concurrently(*[lambda: refresh(sign_in.refresh_token)] * 12)

    assert Counter(map(type, outcomes)) == {sessions.SignIn: 1, RefreshRaced: 11}
    (winner,) = (outcome for outcome in outcomes if isinstance(outcome, sessions.SignIn))
    refresh(winner.refresh_token)


def test_a_used_token_from_another_client_ends_the_session(sign_in: sessions.SignIn):
    following = refresh(sign_in.refresh_token)

    with pytest.raises(SessionExpired):
        refresh(sign_in.refresh_token, user_agent="curl")
    with pytest.raises(SessionExpired):
        refresh(following.refresh_token)


def test_a_token_that_was_used_more_than_10_seconds_ago_ends_the_session(
    sign_in: sessions.SignIn, sql: Sql
):
    following = refresh(sign_in.refresh_token)
    sql("UPDATE refresh_token SET spent_at = spent_at - interval '11 seconds'")

    with pytest.raises(SessionExpired):
        refresh(sign_in.refresh_token)
    with pytest.raises(SessionExpired):
        refresh(following.refresh_token)


def test_a_session_ends_at_its_maximum_age(sign_in: sessions.SignIn, sql: Sql):
    maximum = configuration().session_seconds
    sql("UPDATE session SET created_at = now() - make_interval(secs => %s)", maximum - 60)

    last = refresh(sign_in.refresh_token)

    remaining = (last.refresh_expires_at - datetime.now(UTC)).total_seconds()
    assert 50 < remaining <= 60
    sql("UPDATE session SET expires_at = now()")
    with pytest.raises(SessionExpired):
        refresh(last.refresh_token)


def test_a_user_who_is_disabled_during_sign_in_gets_no_session(
    ada: users.User, anonymous: Actor, sql: Sql, monkeypatch: pytest.MonkeyPatch
):
    original = passwords.verify

    def verify(*arguments: Any) -> passwords.Verification:
        verification = original(*arguments)
        sql("UPDATE users SET active = false")
        return verification

    monkeypatch.setattr(passwords, "verify", verify)

    with pytest.raises(InvalidCredentials):
        sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)
    assert sql("SELECT count(*) FROM session") == [(0,)]


def test_a_password_that_changes_during_sign_in_starts_no_session(
    ada: users.User, anonymous: Actor, sql: Sql, monkeypatch: pytest.MonkeyPatch
):
    original = passwords.verify

    def verify(*arguments: Any) -> passwords.Verification:
        verification = original(*arguments)
        sql("UPDATE users SET password_version = password_version + 1")
        return verification

    monkeypatch.setattr(passwords, "verify", verify)

    with pytest.raises(InvalidCredentials):
        sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)


def test_ending_one_session_does_not_end_the_others(ada: users.User, anonymous: Actor, sql: Sql):
    first, second = (
        sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD) for _ in range(2)
    )
    refresh(first.refresh_token)
    with pytest.raises(SessionExpired):
        refresh(first.refresh_token, user_agent="curl")

    refresh(second.refresh_token)


def test_an_expired_token_is_rejected_and_does_not_end_the_session(
    sign_in: sessions.SignIn, sql: Sql
):
    sql("UPDATE refresh_token SET expires_at = now()")

    with pytest.raises(SessionExpired):
        refresh(sign_in.refresh_token)
    assert sql("SELECT count(*) FROM session WHERE revoked_at IS NULL") == [(1,)]


@pytest.mark.parametrize("token", ["", "never issued", "\udc80", "x" * 10_000, "\0"])
def test_a_token_that_was_never_issued_is_rejected(sign_in: sessions.SignIn, token: str):
    with pytest.raises(SessionExpired):
        refresh(token)

    refresh(sign_in.refresh_token)


def test_logging_out_ends_the_session_and_can_be_repeated(
    ada: users.User, sign_in: sessions.SignIn
):
    actor = make_actor(ada.id, "CLIENT")._replace(session_id=sign_in.session.id)

    sessions.logout(actor=actor)
    sessions.logout(actor=actor)

    with pytest.raises(SessionExpired):
        refresh(sign_in.refresh_token)


def test_concurrent_logout_and_refresh_end_the_session(ada: users.User, sign_in: sessions.SignIn):
    actor = make_actor(ada.id, "CLIENT")._replace(session_id=sign_in.session.id)

    outcomes = run_concurrently(
        lambda: refresh(sign_in.refresh_token), lambda: sessions.logout(actor=actor)
    )

    for outcome in outcomes:
        if isinstance(outcome, sessions.SignIn):
            with pytest.raises(SessionExpired):
                refresh(outcome.refresh_token)


def test_a_session_stores_the_user_agent_and_address_of_its_sign_in(ada: users.User, sql: Sql):
    actor = make_actor(None, None)._replace(user_agent="x" * 999 + "\0", address="2001:db8::1")

    sessions.login(actor=actor, email=EMAIL, password=PASSWORD)

    assert sql("SELECT user_agent, address FROM session") == [("x" * 200, "2001:db8::1")]


def test_a_foreign_or_malformed_access_token_is_rejected(sign_in: sessions.SignIn):
    before = configuration()
    token = sign_in.access_token
    header, claims, signature = token.split(".")
    for other in (
        replace(before, signing_key=b"another key that is long all_rejected to be one"),
        replace(before, issuer="other"),
        replace(before, audience="other"),
    ):
        process.bind(other)
        assert access_tokens.verify(token) is None
    process.bind(before)
    assert access_tokens.verify(token) is not None
    for malformed in (
        "",
        "a.b.c",
        token[:-2],
        f"{header}.{claims}.",
        f"{claims}.{header}.{signature}",
    ):
        assert access_tokens.verify(malformed) is None


@pytest.mark.parametrize(
    ("claim", "seconds", "is_accepted"),
    [
        ("iat", 3, True),
        ("iat", 60, False),
        ("nbf", 3, True),
        ("nbf", 60, False),
        ("exp", 60, True),
        ("exp", -1, False),
    ],
)
def test_a_server_whose_clock_is_behind_accepts_new_tokens_of_another_server(
    sign_in: sessions.SignIn, claim: str, seconds: int, is_accepted: bool
):
    token = sign_in.access_token
    claims = jwt.decode(token, options={"verify_signature": False})
    changed = jwt.encode(
        {**claims, claim: int(time.time()) + seconds},
        configuration().signing_key,
        algorithm="HS256",
        headers=jwt.get_unverified_header(token),
    )

    assert is_accepted is (access_tokens.verify(changed) is not None)


def test_an_access_token_expires(sign_in: sessions.SignIn):
    process.bind(replace(configuration(), access_token_seconds=-1))
    expired, expires_at = access_tokens.issue(
        user_id=sign_in.user.id, role="CLIENT", session_id=sign_in.session.id
    )

    assert expires_at < datetime.now(UTC)
    assert access_tokens.verify(expired) is None


def test_no_database_connection_is_held_during_hashing(
    ada: users.User, anonymous: Actor, monkeypatch: pytest.MonkeyPatch
):
    closed = []
    original = passwords.PasswordHasher.verify

    def verify(self: Any, password_hash: str, password: str) -> bool:
        closed.append(database.is_closed())
        return original(self, password_hash, password)

    monkeypatch.setattr(passwords.PasswordHasher, "verify", verify)

    sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)

    assert closed == [True]


class SlowHashing:
    """Lets the verification of passwords wait until a number of sign-ins was refused."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refusals: int) -> None:
        self.refused: list[Unavailable | TooManyAttempts] = []
        self._refusals = refusals
        self._all_refused = threading.Event()
        original = passwords.PasswordHasher.verify

        def verify(hasher: Any, password_hash: str, password: str) -> bool:
            self._all_refused.wait(30)
            return original(hasher, password_hash, password)

        monkeypatch.setattr(passwords.PasswordHasher, "verify", verify)

    def sign_in(self, number: int, *, address: str = "", email: str = EMAIL) -> bool:
        """Attempt to sign in; return whether the server verified the password."""
        actor = make_actor(None, None)._replace(address=address or f"203.0.113.{number}")
        try:
            sessions.login(actor=actor, email=email, password=PASSWORD)
        except InvalidCredentials:
            return True
        except (TooManyAttempts, Unavailable) as error:
            self.refused.append(error)
            if len(self.refused) == self._refusals:
                self._all_refused.set()
            return False
        return True


def test_sign_ins_beyond_the_length_of_the_hashing_queue_are_rejected(
    ada: users.User, anonymous: Actor, monkeypatch: pytest.MonkeyPatch
):
    """Of 30 concurrent sign-ins, one is verified, eight wait and 21 are rejected."""
    process.bind(replace(configuration(), password_hashes_at_once=1, password_hashes_waiting=8))
    hashing = SlowHashing(monkeypatch, refusals=21)

    outcomes = run_concurrently(*[partial(hashing.sign_in, number) for number in range(30)])

    assert outcomes.count(True) == 9
    assert {PasswordHashingBusy} == {type(error) for error in hashing.refused}
    sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)


def test_one_network_can_sign_in_to_one_account_twice_at_the_same_time(
    ada: users.User, monkeypatch: pytest.MonkeyPatch
):
    hashing = SlowHashing(monkeypatch, refusals=8)
    attempt = partial(hashing.sign_in, 1, address="203.0.113.1")

    outcomes = run_concurrently(*[attempt] * 10)

    assert outcomes.count(True) == 2
    policies = {one.policy for one in hashing.refused if isinstance(one, TooManyAttempts)}
    assert {"sign_in_concurrent"} == policies
    assert attempt()


def test_successful_sign_ins_are_limited_too(ada: users.User, anonymous: Actor):
    """Three times as many as failures. Another account on the same network is not affected."""
    process.bind(replace(configuration(), sign_in_limit=2))
    for _ in range(6):
        sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)

    for _ in range(50):  # more often than the whole network may fail, or sign in to one account
        with pytest.raises(TooManyAttempts) as caught:
            sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)
    assert ("sign_in_total", 6) == (caught.value.policy, caught.value.quota)

    elsewhere = anonymous._replace(address="203.0.113.1")
    sessions.login(actor=elsewhere, email=EMAIL, password=PASSWORD)
    with pytest.raises(InvalidCredentials):
        sessions.login(actor=anonymous, email="bob@example.com", password=PASSWORD)


def test_one_account_cannot_sign_in_from_endless_networks(ada: users.User, anonymous: Actor):
    process.bind(replace(configuration(), sign_in_limit=1))
    for number in range(30):
        client = anonymous._replace(address=f"203.0.113.{number}")
        sessions.login(actor=client, email=EMAIL, password=PASSWORD)

    with pytest.raises(TooManyAttempts) as caught:
        sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)
    assert "sign_in_account_total" == caught.value.policy


def test_refused_attempts_use_nothing_of_the_quota_of_the_network(
    ada: users.User, anonymous: Actor
):
    process.bind(replace(configuration(), sign_in_limit=1))
    with pytest.raises(InvalidCredentials):
        sessions.login(actor=anonymous, email="bob@example.com", password="wrong")
    for _ in range(20):
        with pytest.raises(TooManyAttempts):
            sessions.login(actor=anonymous, email="bob@example.com", password="wrong")

    sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)
