"""Creates the database cluster in a data directory with initdb, or checks an existing one.

Also replaces it with the cluster of another major version, which an upgrade has created.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from orderly.embedded.data_directory import OWNER, DataDirectory
from orderly.embedded.errors import StartFailedError, UnusableDirectoryError
from orderly.embedded.orphans import server_lock
from orderly.embedded.programs import command, environment, installed_version
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
    finish_upgrade(directory)
    for unfinished in directory.path.glob("postgresql.new-*"):
        # If an orphaned initdb still deletes files there, the next start removes the directory.
        shutil.rmtree(unfinished, ignore_errors=True)
    if directory.cluster.exists():
        check_cluster(directory)
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
        fsync_directory(directory.path)


def replace_cluster(directory: DataDirectory, old_version: int) -> None:
    """Replace the cluster with the one in `directory.upgrade`; keep the old one.

    Each step is one rename. If this process is killed between two of them, `finish_upgrade`
    does the last one, or, if the old cluster still has its name, starts over.
    """
    directory.upgrade.rename(directory.upgraded)
    fsync_directory(directory.path)
    directory.cluster.rename(directory.cluster_before_upgrade(old_version))
    fsync_directory(directory.path)
    finish_upgrade(directory)


def finish_upgrade(directory: DataDirectory) -> None:
    """Finish the upgrade that a killed process has begun, or remove what it has left.

    Raises:
        StartFailedError: a server of the killed process still runs after 60 seconds.
    """
    upgraded = DataDirectory(directory.upgraded).cluster
    if not directory.cluster.exists() and upgraded.exists():
        upgraded.rename(directory.cluster)
        fsync_directory(directory.path)
    for path in (directory.upgrade, directory.upgraded):
        left = DataDirectory(path)
        if left.server_lock.exists():
            with server_lock(left.server_lock, left.cluster):
                pass
        shutil.rmtree(path, ignore_errors=True)


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


def check_cluster(directory: DataDirectory) -> None:
    """Check that the existing cluster can be used.

    Raises:
        UnusableDirectoryError: it is not a cluster of this major version, or there is no password.
    """
    found, programs = cluster_version(directory), installed_version()
    if found > programs:
        raise UnusableDirectoryError(
            f"{directory.cluster} was created by PostgreSQL {found}, which is newer than PostgreSQL"
            f" {programs} of this version of Orderly. Install the version of Orderly that was used "
            "last, or choose another directory with --data-dir."
        )
    if found < programs:
        raise UnusableDirectoryError(
            f"{directory.cluster} was created by PostgreSQL {found}, but this is PostgreSQL "
            f"{programs}. Move its data with `orderly upgrade-database`, or choose another "
            "directory with --data-dir."
        )
    check_password(directory)


def check_password(directory: DataDirectory) -> None:
    """Raise `UnusableDirectoryError` if the cluster's password is missing."""
    password = directory.password
    if not password.exists() or password.stat().st_size == 0:
        raise UnusableDirectoryError(
            f"{password}, the password of the database, is missing. Copy it from the same place as "
            "the database, or choose another directory with --data-dir."
        )


def cluster_version(directory: DataDirectory) -> int:
    """Return the major version of PostgreSQL that created the cluster.

    Raises:
        UnusableDirectoryError: it is not a cluster.
    """
    try:
        return int((directory.cluster / "PG_VERSION").read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise UnusableDirectoryError(
            f"{directory.cluster} is not a PostgreSQL database cluster. Move it elsewhere, or "
            "choose another directory with --data-dir."
        ) from None


def fsync_directory(directory: Path) -> None:
    """Flush a directory to disk, so that a rename in it survives a power failure."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
