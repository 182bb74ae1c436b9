"""A process is ready if its database can be used and it has loaded the revoked sessions."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from database import binding, migrations
from domain.errors import NotReady, Unavailable
from services import health, process, revocation, workers
from tests.services.test_database import raise_sqlstate
from tests.support.database import Sql

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations" / "readiness.md"


def reason() -> str | None:
    """Return why this process is not ready."""
    try:
        health.ready()
    except NotReady as error:
        return error.reason
    return None


def test_a_process_is_ready_after_it_loaded_the_revoked_sessions(shop: str) -> None:
    assert "sessions_not_loaded" == reason()

    revocation.refresh()

    assert reason() is None


def test_a_process_is_not_ready_until_all_migrations_are_applied(
    shop: str, empty_database_url: str
) -> None:
    revocation.refresh()
    binding.bind(empty_database_url)
    assert "migrations_pending" == reason()

    migrations.apply()
    revocation.refresh()

    assert reason() is None


def test_a_process_is_not_ready_when_its_database_is_unreachable(shop: str) -> None:
    revocation.refresh()
    binding.bind("postgresql://orderly@127.0.0.1:1/orderly")

    assert "database_unavailable" == reason()


def test_a_process_is_not_ready_while_its_database_is_read_only(shop: str) -> None:
    revocation.refresh()
    binding.bind(f"{shop}&options=-cdefault_transaction_read_only%3Don")

    assert "database_read_only" == reason()


def test_after_a_full_disk_a_process_is_ready_when_temporary_files_can_be_written(
    shop: str,
) -> None:
    revocation.refresh()
    with pytest.raises(Unavailable):
        raise_sqlstate("53100")

    assert reason() is None


def test_after_a_full_disk_a_process_is_not_ready_while_temporary_files_cannot_be_written(
    shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server itself has enough space: a smaller limit for temporary files stands for it."""
    revocation.refresh()
    with pytest.raises(Unavailable):
        raise_sqlstate("53100")
    binding.bind(f"{shop}&options=-ctemp_file_limit%3D0")

    # 53400, configuration_limit_exceeded, shows that a file was written, and is another reason.
    assert "database_unavailable" == reason()


def test_a_process_that_needs_a_worker_is_not_ready_without_one(shop: str, sql: Sql) -> None:
    process.bind(replace(process.configuration(), worker_silence_seconds=30))
    revocation.refresh()
    assert reason() is None  # there may be none yet

    process.state().started_at -= 60
    assert "worker_missing" == reason()

    workers.beat()
    assert reason() is None

    sql("UPDATE worker_heartbeat SET beat_at = beat_at - interval '31 seconds'")
    assert "worker_missing" == reason()

    workers.beat()
    assert reason() is None


def test_several_workers_write_the_heartbeat_together(shop: str, sql: Sql) -> None:
    find = "SELECT beat_at, xmin::text FROM worker_heartbeat"
    workers.beat()
    sql("UPDATE worker_heartbeat SET beat_at = beat_at + interval '1 hour'")  # another clock
    workers.beat()
    first = sql(find)

    workers.beat()

    assert first == sql(find)
    assert [(True,)] == sql("SELECT beat_at <= clock_timestamp() FROM worker_heartbeat")


def test_a_process_that_stops_is_not_ready(shop: str) -> None:
    revocation.refresh()

    process.stop()

    assert "stopping" == reason()


def test_the_documentation_lists_all_reasons() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", DOCUMENT.read_text(), re.MULTILINE)

    assert list(health.REASONS) == documented
