"""A process is ready when its database answers, is migrated, and tells which sessions ended."""

from __future__ import annotations

import pytest

from database import binding, migrations
from domain.errors import Unavailable
from services import health, revocation


def test_a_migrated_database_is_ready_once_it_has_told_which_sessions_have_ended(shop: str):
    with pytest.raises(Unavailable):
        health.ready()

    revocation.refresh()

    health.ready()


def test_a_database_that_lacks_migrations_is_not(shop: str, empty_database_url: str):
    revocation.refresh()
    binding.bind(empty_database_url)
    with pytest.raises(Unavailable):
        health.ready()

    migrations.apply()
    revocation.refresh()

    health.ready()


def test_a_database_that_cannot_be_reached_is_not(shop: str):
    revocation.refresh()
    binding.bind("postgresql://orderly@127.0.0.1:1/orderly")

    with pytest.raises(Unavailable):
        health.ready()
