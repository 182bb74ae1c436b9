"""Housekeeping deletes expired rate limits, tokens and sessions, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.actor import Actor
from domain.errors import TooManyAttempts
from services import housekeeping, process, sessions, throttling
from services.process import configuration
from tests.support.database import Sql
from tests.support.services import PASSWORD


@pytest.fixture
def sign_in(client: Actor, anonymous: Actor) -> sessions.SignIn:
    return sessions.login(actor=anonymous, email="client0@example.com", password=PASSWORD)


def count(sql: Sql, table: str) -> int:
    number: int = sql(f"SELECT count(*) FROM {table}")[0][0]
    return number


def test_only_full_rate_limit_buckets_are_deleted(anonymous: Actor, sql: Sql):
    throttling.count_sign_in(anonymous, "ada@example.com")
    sql("UPDATE throttle SET full_at = now() + interval '1 minute'")
    buckets = count(sql, "throttle")

    assert housekeeping.delete_expired() == 0
    sql("UPDATE throttle SET full_at = now() - interval '1 second'")

    assert housekeeping.delete_expired() == buckets == 6
    assert count(sql, "throttle") == 0


def test_an_active_session_keeps_its_tokens(sign_in: sessions.SignIn, anonymous: Actor, sql: Sql):
    sessions.refresh_session(actor=anonymous, refresh_token=sign_in.refresh_token)
    sql("TRUNCATE throttle")

    assert housekeeping.delete_expired() == 0
    assert count(sql, "refresh_token") == 2


def test_tokens_are_deleted_one_day_after_they_expire(sign_in: sessions.SignIn, sql: Sql):
    sql("TRUNCATE throttle")
    sql("UPDATE refresh_token SET expires_at = now() - interval '25 hours'")

    assert housekeeping.delete_expired() == 1
    assert (count(sql, "refresh_token"), count(sql, "session")) == (0, 1)


def test_sessions_are_deleted_30_days_after_they_end_and_the_log_is_kept(
    sign_in: sessions.SignIn, sql: Sql
):
    sql("TRUNCATE throttle")
    sql("UPDATE session SET expires_at = now() - interval '31 days'")
    events = count(sql, "security_event")

    assert housekeeping.delete_expired() == 1
    assert (count(sql, "session"), count(sql, "refresh_token")) == (0, 0)
    assert count(sql, "security_event") == events


def test_an_attempt_is_possible_again_after_the_retry_time(anonymous: Actor, sql: Sql):
    process.bind(replace(configuration(), sign_in_limit=2))
    for _ in range(2):
        throttling.count_sign_in(anonymous, "ada@example.com")
    with pytest.raises(TooManyAttempts) as caught:
        throttling.count_sign_in(anonymous, "ada@example.com")
    assert 299 <= caught.value.retry_after <= 300

    sql("UPDATE throttle SET full_at = full_at - interval '301 seconds'")

    throttling.count_sign_in(anonymous, "ada@example.com")
    with pytest.raises(TooManyAttempts):
        throttling.count_sign_in(anonymous, "ada@example.com")
