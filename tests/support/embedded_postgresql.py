"""Access to an embedded PostgreSQL from outside the process that started it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg2

from orderly.embedded import running_url

# Starts an embedded PostgreSQL in a process of its own, so that a test can kill that process.
START_SCRIPT = """
import pathlib, sys, time
from orderly.embedded import EmbeddedPostgreSQL
account = sys.argv[2] if len(sys.argv) > 2 else None
database = EmbeddedPostgreSQL(pathlib.Path(sys.argv[1]), account=account)
database.start()
print("ready", flush=True)
time.sleep(60)
"""


def postmaster_pid(data_dir: Path) -> int:
    """Return the process ID of the embedded PostgreSQL server."""
    return int((data_dir / "postgresql" / "postmaster.pid").read_text().partition("\n")[0])


def connect(data_dir: Path) -> psycopg2.extensions.connection:
    """Connect to the embedded PostgreSQL that runs in a data directory."""
    url = running_url(data_dir)
    assert url is not None
    return psycopg2.connect(url)


def run_statement(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run one statement on a new connection; return its rows."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
