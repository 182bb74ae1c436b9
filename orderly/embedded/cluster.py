"""Creates the database cluster in a data directory with initdb, or checks an existing one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from orderly.embedded.data_directory import OWNER, DataDirectory
from orderly.embedded.errors import StartFailedError, UnusableDirectoryError
from orderly.embedded.programs import command, environment, program
from orderly.embedded.run_as import RunAs


def prepare_cluster(directory: DataDirectory, run_as: RunAs, *, fsync: bool) -> None:
    """Create the cluster if there is none; make PostgreSQL's user its owner.

    `initdb` writes to a temporary directory, which is renamed when it is complete. So an
    interrupted `initdb` never leaves a broken cluster.

    Raises:
        UnusableDirectoryError: the existing files are not a cluster of this major version, or the
            password file is missing.
        StartFailedError: initdb failed.
    """
    for unfinished in directory.path.glob("postgresql.new-*"):
        # If an orphaned initdb still deletes files there, the next start removes the directory.
        shutil.rmtree(unfinished, ignore_errors=True)
    if directory.cluster.exists():
        _check_cluster(directory)
        run_as.take_ownership(directory.cluster)
        return
    directory.create_password(fsync=fsync)
    new = Path(tempfile.mkdtemp(prefix="postgresql.new-", dir=directory.path))
    run_as.take_ownership(new)
    run_as.take_ownership(directory.password)
    result = _initdb(new, directory.password, run_as, fsync=fsync)
    if result.returncode != 0:
        shutil.rmtree(new, ignore_errors=True)
        raise StartFailedError(f"initdb failed:\n{result.stderr.strip()}")
    new.rename(directory.cluster)
    if fsync:
        _fsync_directory(directory.path)


def _initdb(
    new: Path, password: Path, run_as: RunAs, *, fsync: bool
) -> subprocess.CompletedProcess[str]:
    with run_as.inherited_paths() as paths:
        return subprocess.run(  # noqa: S603  # a program of PostgreSQL
            command(
                run_as,
                "initdb",
                f"--pgdata={paths.of(new)}",
                f"--username={OWNER}",
                f"--pwfile={paths.of(password)}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                *([] if fsync else ["--no-sync"]),
            ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            errors="replace",
            check=False,
            env=environment(),
            pass_fds=paths.descriptors,
        )


def _check_cluster(directory: DataDirectory) -> None:
    cluster, password = directory.cluster, directory.password
    server_version = subprocess.run(  # noqa: S603
        [program("postgres"), "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    try:
        cluster_version = (cluster / "PG_VERSION").read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        raise UnusableDirectoryError(
            f"{cluster} is not a PostgreSQL database cluster. Move it elsewhere, or choose "
            "another directory with --data-dir."
        ) from None
    if cluster_version != server_version.partition(".")[0]:
        raise UnusableDirectoryError(
            f"{cluster} was created by PostgreSQL {cluster_version}, but this is PostgreSQL "
            f"{server_version}. Copy the data with pg_dump of the old version, or choose another "
            "directory with --data-dir."
        )
    if not password.exists() or password.stat().st_size == 0:
        raise UnusableDirectoryError(
            f"{password}, the password of the database, is missing. Copy it from the same place as "
            "the database, or choose another directory with --data-dir."
        )


def _fsync_directory(directory: Path) -> None:
    """Flush a directory to disk, so that a rename in it survives a power failure."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
