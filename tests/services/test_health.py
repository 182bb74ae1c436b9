"""A process is ready if its database can be used and it has loaded the revoked sessions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from database import binding, migrations
from domain.errors import NotReady, Unavailable
from services import health, process, revocation
from tests.services.test_database import raise_sqlstate

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


def test_a_process_that_stops_is_not_ready(shop: str) -> None:
    revocation.refresh()

    process.stop()

    assert "stopping" == reason()


def test_the_documentation_lists_all_reasons() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", DOCUMENT.read_text(), re.MULTILINE)

    assert list(health.REASONS) == documented
