"""A process is ready when its database answers and has the schema that the code expects."""

from __future__ import annotations

import pytest

from domain.errors import Unavailable
from models import database, migration
from services import health


def test_a_migrated_database_is_ready():
    health.ready()


def test_a_database_that_lacks_migrations_is_not(empty_database_url: str):
    database.bind(empty_database_url)
    with pytest.raises(Unavailable):
        health.ready()

    migration.apply()

    health.ready()


def test_a_database_that_cannot_be_reached_is_not():
    database.bind("postgresql://orderly@127.0.0.1:1/orderly")

    with pytest.raises(Unavailable):
        health.ready()
