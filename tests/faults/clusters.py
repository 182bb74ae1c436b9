"""What the tests of the embedded PostgreSQL do to its data directory, from outside."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg2

PARENT = """
import pathlib, sys, time
from orderly.embedded import EmbeddedPostgreSQL
account = sys.argv[2] if len(sys.argv) > 2 else None
database = EmbeddedPostgreSQL(pathlib.Path(sys.argv[1]), account=account)
database.start()
print("ready", flush=True)
time.sleep(60)
"""


def server_pid(data_dir: Path) -> int:
    """Return the number of the server's process."""
    return int((data_dir / "postgresql" / "postmaster.pid").read_text().partition("\n")[0])


def run(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run one statement on a connection of its own; return its rows."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
