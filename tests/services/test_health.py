"""A process is ready when its database is reachable and migrated and revocations are loaded."""

from __future__ import annotations

import pytest

from database import binding, migrations
from domain.errors import Unavailable
from services import health, revocation


def test_a_process_is_ready_after_it_loaded_the_revoked_sessions(shop: str):
    with pytest.raises(Unavailable):
        health.ready()

    revocation.refresh()

    health.ready()


def test_a_process_is_not_ready_until_all_migrations_are_applied(
    shop: str, empty_database_url: str
):
    revocation.refresh()
    binding.bind(empty_database_url)
    with pytest.raises(Unavailable):
        health.ready()

    migrations.apply()
    revocation.refresh()

    health.ready()


def test_a_process_is_not_ready_when_its_database_is_unreachable(shop: str):
    revocation.refresh()
    binding.bind("postgresql://orderly@127.0.0.1:1/orderly")

    with pytest.raises(Unavailable):
        health.ready()
