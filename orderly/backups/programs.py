"""Runs PostgreSQL's programs `pg_dump` and `pg_restore`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from database.connection import connect_as_owner
from domain.errors import Unavailable
from orderly.backups.errors import BackupError
from orderly.embedded import UnsupportedSystemError
from orderly.embedded.programs import client_command, major_version, program

OnLine = Callable[[str], None]

# The maximum number of lines of stderr that an error message quotes.
_ERROR_LINES = 3
_SEVERITY = re.compile(r"\b(?:error|detail|hint):")
_CONNECT_SECONDS = 10


def run(name: str, *arguments: str, url: str, descriptor: int, on_line: OnLine) -> None:
    """Run a program on the database of a URL. It inherits a file descriptor.

    `on_line` is called with each line of stderr, which contains progress messages if the arguments
    contain `--verbose`.

    Raises:
        BackupError: the program failed, or is not installed.
        Unavailable: the database cannot be reached.
    """
    path = _find(name, _server_version(url))[0]
    errors: deque[str] = deque(maxlen=_ERROR_LINES)
    with subprocess.Popen(  # noqa: S603  # a program of PostgreSQL
        client_command(path, *arguments, f"--dbname={_without_password(url)}"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=_environment(url),
        pass_fds=[descriptor],
    ) as process:
        assert process.stderr is not None  # noqa: S101
        for line in process.stderr:
            errors.append(line)
            on_line(line.strip())
    if process.returncode != 0:
        raise _failure(name, errors, process.returncode)


@contextmanager
def output(name: str, *arguments: str) -> Iterator[IO[bytes]]:
    """Run a program without a database; provide its standard output.

    Raises:
        BackupError: the program is not installed or, when the output has been read, failed.
    """
    newest = max(_find(name), key=_version)
    # A file, since a pipe that is read at the end would block a program with many errors.
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(  # noqa: S603  # a program of PostgreSQL
            client_command(newest, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(),
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101
        try:
            yield process.stdout
        except BaseException:
            process.kill()
            raise
        if process.wait() != 0:
            errors.seek(0)
            lines = deque(errors, maxlen=_ERROR_LINES)
            texts = [line.decode(errors="replace") for line in lines]
            raise _failure(name, texts, process.returncode)


def _failure(name: str, lines: Iterable[str], status: int) -> BackupError:
    # Progress messages have the prefix too, but no severity.
    errors = [line.removeprefix(f"{name}: ").strip() for line in lines if _SEVERITY.search(line)]
    return BackupError(f"{name} failed: {' '.join(errors) or f'status {status}'}")


def _find(name: str, version: int = 1) -> list[Path]:
    """Return the paths of a program of at least this major version; Orderly's own one is first.

    pg_dump refuses a server of a newer major version than its own, and pg_restore an archive in a
    newer format.
    """
    candidates = []
    with suppress(UnsupportedSystemError):  # there is no embedded PostgreSQL for this system
        candidates.append(program(name))
    if (on_path := shutil.which(name)) is not None:
        candidates.append(Path(on_path))
    found = [candidate for candidate in candidates if _version(candidate) >= version]
    if not found:
        raise BackupError(
            f"{name}{f' {version}' if version > 1 else ''} is not installed. Install PostgreSQL's"
            f" client programs, so that {name} is on PATH."
        )
    return found


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
    return major_version(path) or 0


def _without_password(url: str) -> str:
    """Return a connection string without the password: all users can read command lines."""
    parts = parse_dsn(url)
    parts.pop("password", None)
    if "," in parts.get("host", "") + parts.get("hostaddr", ""):
        parts.setdefault("target_session_attrs", "read-write")  # as for requests
    dsn: str = make_dsn(**parts)
    return dsn


def _environment(url: str | None = None) -> dict[str, str]:
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
