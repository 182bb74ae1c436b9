"""Runs PostgreSQL's programs `pg_dump` and `pg_restore`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import deque
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from database.connection import connect_as_owner
from domain.errors import Unavailable
from orderly.backups.errors import BackupError
from orderly.embedded import UnsupportedSystemError
from orderly.embedded.programs import client_command, program

OnLine = Callable[[str], None]

# The maximum number of lines of stderr that an error message quotes.
_ERROR_LINES = 3
_CONNECT_SECONDS = 10


def run(name: str, *arguments: str, url: str | None = None, on_line: OnLine | None = None) -> str:
    """Run a program on the database of a URL; return its standard output.

    `on_line` is called with each line of stderr, which contains progress messages if the arguments
    contain `--verbose`.

    Raises:
        BackupError: the program failed, or is not installed.
        Unavailable: the database cannot be reached.
    """
    connection = [] if url is None else [f"--dbname={_without_password(url)}"]
    command = client_command(_find(name, url), *arguments, *connection)
    errors: deque[str] = deque(maxlen=_ERROR_LINES)
    with subprocess.Popen(  # noqa: S603  # a program of PostgreSQL
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=_environment(url),
    ) as process:
        assert process.stderr is not None and process.stdout is not None  # noqa: S101, PT018
        for line in process.stderr:
            errors.append(line.removeprefix(f"{name}: ").strip())
            if on_line is not None:
                on_line(line.strip())
        output = process.stdout.read()
    if process.returncode != 0:
        raise BackupError(f"{name} failed: {' '.join(errors) or f'status {process.returncode}'}")
    return output


def _find(name: str, url: str | None) -> Path:
    """Return the path of a program that is at least as new as the server.

    pg_dump refuses a server of a newer major version than its own.
    """
    candidates = []
    with suppress(UnsupportedSystemError):  # there is no embedded PostgreSQL for this system
        candidates.append(program(name))
    if (on_path := shutil.which(name)) is not None:
        candidates.append(Path(on_path))
    needed = 0 if url is None else _server_version(url)
    for candidate in candidates:
        if _version(candidate) >= needed:
            return candidate
    version = f" {needed}" if needed else ""
    raise BackupError(
        f"{name}{version} is not installed. Install PostgreSQL's client programs, so that {name} is"
        " on PATH."
    )


def _server_version(url: str) -> int:
    """Return the major version of a server.

    Raises:
        Unavailable: it cannot be reached.
    """
    try:
        with closing(connect_as_owner(url)) as connection:
            version: int = connection.server_version // 10000
            return version
    except psycopg2.OperationalError as error:
        raise Unavailable from error


def _version(path: Path) -> int:
    """Return the major version of a program, from output such as `pg_dump (PostgreSQL) 18.6`."""
    command = [str(path), "--version"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    return int(output.split(")")[1].split()[0].partition(".")[0])


def _without_password(url: str) -> str:
    """Return a connection string without the password: all users can read command lines."""
    parts = parse_dsn(url)
    parts.pop("password", None)
    if "," in parts.get("host", "") + parts.get("hostaddr", ""):
        parts.setdefault("target_session_attrs", "read-write")  # as for requests
    dsn: str = make_dsn(**parts)
    return dsn


def _environment(url: str | None) -> dict[str, str]:
    """Return the environment without Orderly's settings, which may contain secrets."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("ORDERLY_")
    }
    password = None if url is None else parse_dsn(url).get("password")
    return {
        "PGCONNECT_TIMEOUT": str(_CONNECT_SECONDS),
        **inherited,
        "LC_ALL": "C",
        **({"PGPASSWORD": password} if password else {}),
    }
