"""Signing in, staying signed in, and what happens to whoever shows a token twice."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from database.binding import database
from domain.actor import Actor
from domain.errors import InvalidCredentials, RefreshRaced, SessionExpired, Unavailable
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
def signed_in(ada: users.User, anonymous: Actor) -> sessions.SignIn:
    return sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)


def refresh(token: str, user_agent: str = "Firefox") -> sessions.SignIn:
    return sessions.refresh_session(
        actor=make_actor(None, None, user_agent=user_agent), refresh_token=token
    )


def test_signing_in_gives_tokens_that_say_who_it_is(ada: users.User, signed_in: sessions.SignIn):
    assert signed_in.user == ada
    claims = access_tokens.verify(signed_in.access_token)
    assert claims is not None
    assert (ada.id, "CLIENT", signed_in.session.id) == (
        claims.user_id,
        claims.role,
        claims.session_id,
    )
    assert claims.expires_at == signed_in.access_expires_at.timestamp()
    lifetime = signed_in.refresh_expires_at - signed_in.session.created_at
    assert lifetime == timedelta(seconds=configuration().refresh_token_seconds)
    assert signed_in.refresh_expires_at == signed_in.session.expires_at


@pytest.mark.parametrize("email", ["ada@example.com", "ADA@EXAMPLE.COM", "Ada@Example.com"])
def test_the_case_of_an_email_makes_no_difference(ada: users.User, anonymous: Actor, email: str):
    assert sessions.login(actor=anonymous, email=email, password=PASSWORD).user == ada


def test_the_same_characters_are_the_same_password_however_composed(anonymous: Actor):
    composed, decomposed = "caf\u00e9 \u00fcber strudel", "cafe\u0301 u\u0308ber strudel"
    users.register(actor=anonymous, email=EMAIL, name="Ada", password=composed)

    sessions.login(actor=anonymous, email=EMAIL, password=decomposed)


@pytest.mark.parametrize(
    ("email", "password"),
    [(EMAIL, "blackberry strudel!"), (EMAIL, ""), ("eve@example.com", PASSWORD)],
)
def test_wrong_credentials_are_refused_alike(
    ada: users.User, anonymous: Actor, email: str, password: str
):
    with pytest.raises(InvalidCredentials):
        sessions.login(actor=anonymous, email=email, password=password)


def test_an_unknown_email_takes_a_hash_as_well(
    ada: users.User, anonymous: Actor, monkeypatch: pytest.MonkeyPatch
):
    """Counted, not timed: the same work is done, with the same parameters."""
    hashers = []
    original = passwords.PasswordHasher.verify

    def verify(self: Any, password_hash: str, password: str) -> bool:
        hashers.append(password_hash.rpartition("$")[0].rpartition("$")[0])
        return original(self, password_hash, password)

    monkeypatch.setattr(passwords.PasswordHasher, "verify", verify)

    for email in (EMAIL, "eve@example.com"):
        with pytest.raises(InvalidCredentials):
            sessions.login(actor=anonymous, email=email, password="wrong")

    assert len(hashers) == 2
    assert hashers[0] == hashers[1] == "$argon2id$v=19$m=8,t=1,p=1"


def test_a_disabled_account_is_refused_like_a_wrong_password(
    ada: users.User, anonymous: Actor, sql: Sql, signed_in: sessions.SignIn
):
    sql("UPDATE users SET active = false")

    with pytest.raises(InvalidCredentials):
        sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)
    with pytest.raises(SessionExpired):
        refresh(signed_in.refresh_token)
    with pytest.raises(SessionExpired):
        users.get_me(actor=make_actor(ada.id, "CLIENT"))


def test_nothing_that_is_kept_signs_anybody_in(signed_in: sessions.SignIn, sql: Sql):
    kept = "".join(
        str(row)
        for table in ("users", "session", "refresh_token")
        for row in sql(f"SELECT {table}::text FROM {table}")
    )

    assert PASSWORD not in kept
    assert signed_in.refresh_token not in kept
    assert "$argon2id$" in kept


def test_a_hash_made_with_other_costs_is_made_anew_at_sign_in(
    ada: users.User, anonymous: Actor, sql: Sql
):
    before = configuration()
    process.bind(replace(before, argon2_time_cost=2))

    sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)

    ((password_hash,),) = sql("SELECT password_hash FROM users")
    assert password_hash.startswith("$argon2id$v=19$m=8,t=2,p=1$")
    process.bind(before)
    sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)


def test_refreshing_goes_on_from_token_to_token_in_one_session(signed_in: sessions.SignIn):
    seen = {signed_in.refresh_token}
    current = signed_in
    for _ in range(5):
        following = refresh(current.refresh_token)

        assert following.refresh_token not in seen
        assert following.session.id == signed_in.session.id
        assert following.refresh_expires_at > current.refresh_expires_at
        seen.add(following.refresh_token)
        current = following


def test_a_role_that_changed_is_in_the_next_access_token(signed_in: sessions.SignIn, sql: Sql):
    sql("UPDATE users SET role = 'ADMIN'")

    claims = access_tokens.verify(refresh(signed_in.refresh_token).access_token)

    assert claims is not None
    assert claims.role == "ADMIN"


def test_two_tabs_that_refresh_at_once_stay_signed_in(signed_in: sessions.SignIn):
    outcomes = run_concurrently(*[lambda: refresh(signed_in.refresh_token)] * 12)

    assert Counter(map(type, outcomes)) == {sessions.SignIn: 1, RefreshRaced: 11}
    (winner,) = (one for one in outcomes if isinstance(one, sessions.SignIn))
    refresh(winner.refresh_token)


def test_a_spent_token_from_another_client_ends_the_session_at_once(signed_in: sessions.SignIn):
    following = refresh(signed_in.refresh_token)

    with pytest.raises(SessionExpired):
        refresh(signed_in.refresh_token, user_agent="curl")
    with pytest.raises(SessionExpired):
        refresh(following.refresh_token)


def test_a_token_spent_long_ago_ends_the_session(signed_in: sessions.SignIn, sql: Sql):
    following = refresh(signed_in.refresh_token)
    sql("UPDATE refresh_token SET spent_at = spent_at - interval '11 seconds'")

    with pytest.raises(SessionExpired):
        refresh(signed_in.refresh_token)
    with pytest.raises(SessionExpired):
        refresh(following.refresh_token)


def test_however_often_it_is_refreshed_a_session_ends(signed_in: sessions.SignIn, sql: Sql):
    most = configuration().session_seconds
    sql("UPDATE session SET created_at = now() - make_interval(secs => %s)", most - 60)

    last = refresh(signed_in.refresh_token)

    remaining = (last.refresh_expires_at - datetime.now(UTC)).total_seconds()
    assert 50 < remaining <= 60
    sql("UPDATE session SET expires_at = now()")
    with pytest.raises(SessionExpired):
        refresh(last.refresh_token)


def test_somebody_disabled_while_signing_in_gets_no_session(
    ada: users.User, anonymous: Actor, sql: Sql, monkeypatch: pytest.MonkeyPatch
):
    original = passwords.verify

    def verify(password: str, password_hash: str | None) -> passwords.Verification:
        verification = original(password, password_hash)
        sql("UPDATE users SET active = false")
        return verification

    monkeypatch.setattr(passwords, "verify", verify)

    with pytest.raises(InvalidCredentials):
        sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)
    assert sql("SELECT count(*) FROM session") == [(0,)]


def test_a_password_changed_while_it_is_verified_starts_no_session(
    ada: users.User, anonymous: Actor, sql: Sql, monkeypatch: pytest.MonkeyPatch
):
    original = passwords.verify

    def verify(password: str, password_hash: str | None) -> passwords.Verification:
        verification = original(password, password_hash)
        sql("UPDATE users SET password_version = password_version + 1")
        return verification

    monkeypatch.setattr(passwords, "verify", verify)

    with pytest.raises(InvalidCredentials):
        sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)


def test_ending_one_session_leaves_the_others(ada: users.User, anonymous: Actor, sql: Sql):
    one, other = (sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD) for _ in range(2))
    refresh(one.refresh_token)
    with pytest.raises(SessionExpired):
        refresh(one.refresh_token, user_agent="curl")

    refresh(other.refresh_token)


def test_an_expired_token_is_refused_and_ends_nothing(signed_in: sessions.SignIn, sql: Sql):
    sql("UPDATE refresh_token SET expires_at = now()")

    with pytest.raises(SessionExpired):
        refresh(signed_in.refresh_token)
    assert sql("SELECT count(*) FROM session WHERE revoked_at IS NULL") == [(1,)]


@pytest.mark.parametrize("token", ["", "never issued", "\udc80", "x" * 10_000, "\0"])
def test_a_token_that_was_never_issued_is_refused(signed_in: sessions.SignIn, token: str):
    with pytest.raises(SessionExpired):
        refresh(token)

    refresh(signed_in.refresh_token)


def test_logging_out_ends_the_session_and_may_be_repeated(
    ada: users.User, signed_in: sessions.SignIn
):
    actor = replace(make_actor(ada.id, "CLIENT"), session_id=signed_in.session.id)

    sessions.logout(actor=actor)
    sessions.logout(actor=actor)

    with pytest.raises(SessionExpired):
        refresh(signed_in.refresh_token)


def test_logging_out_and_refreshing_at_once_ends_in_a_session_that_is_over(
    ada: users.User, signed_in: sessions.SignIn
):
    actor = replace(make_actor(ada.id, "CLIENT"), session_id=signed_in.session.id)

    outcomes = run_concurrently(
        lambda: refresh(signed_in.refresh_token), lambda: sessions.logout(actor=actor)
    )

    for outcome in outcomes:
        if isinstance(outcome, sessions.SignIn):
            with pytest.raises(SessionExpired):
                refresh(outcome.refresh_token)


def test_a_session_remembers_where_it_was_opened(ada: users.User, sql: Sql):
    actor = replace(make_actor(None, None), user_agent="x" * 999 + "\0", address="2001:db8::1")

    sessions.login(actor=actor, email=EMAIL, password=PASSWORD)

    assert sql("SELECT user_agent, address FROM session") == [("x" * 200, "2001:db8::1")]


def test_access_tokens_of_others_are_worth_nothing(signed_in: sessions.SignIn):
    before = configuration()
    token = signed_in.access_token
    header, claims, signature = token.split(".")
    for other in (
        replace(before, signing_key=b"another key that is long enough to be one"),
        replace(before, issuer="other"),
        replace(before, audience="other"),
    ):
        process.bind(other)
        assert access_tokens.verify(token) is None
    process.bind(before)
    assert access_tokens.verify(token) is not None
    for mangled in (
        "",
        "a.b.c",
        token[:-2],
        f"{header}.{claims}.",
        f"{claims}.{header}.{signature}",
    ):
        assert access_tokens.verify(mangled) is None


def test_an_access_token_expires(signed_in: sessions.SignIn):
    process.bind(replace(configuration(), access_token_seconds=-1))
    expired, expires_at = access_tokens.issue(
        user_id=signed_in.user.id, role="CLIENT", session_id=signed_in.session.id
    )

    assert expires_at < datetime.now(UTC)
    assert access_tokens.verify(expired) is None


def test_hashing_keeps_no_connection(
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


def test_a_flood_of_sign_ins_is_turned_away_rather_than_queued(
    ada: users.User, anonymous: Actor, monkeypatch: pytest.MonkeyPatch
):
    """Of thirty at once one is looked at and eight wait, until the others have been refused."""
    process.bind(replace(configuration(), password_hashes_at_once=1))
    original = passwords.PasswordHasher.verify
    refused: list[Unavailable] = []
    enough = threading.Event()

    def verify(self: Any, password_hash: str, password: str) -> bool:
        enough.wait(30)
        return original(self, password_hash, password)

    def attempt() -> sessions.SignIn | None:
        try:
            return sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)
        except Unavailable as error:
            refused.append(error)
            if len(refused) == 21:
                enough.set()
            return None

    monkeypatch.setattr(passwords.PasswordHasher, "verify", verify)

    outcomes = run_concurrently(*[attempt] * 30)

    assert len([one for one in outcomes if one is not None]) == 9
    sessions.login(actor=anonymous, email=EMAIL, password=PASSWORD)
