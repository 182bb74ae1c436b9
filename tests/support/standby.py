"""A PostgreSQL primary with a streaming standby, which tests promote and freeze."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from orderly.embedded import EmbeddedPostgreSQL, running_runtime_url, running_url
from orderly.embedded.programs import environment, program
from tests.support.embedded_postgresql import postmaster_pid, run_statement
from tests.support.processes import wait_until

_IS_STREAMING = "SELECT state = 'streaming' FROM pg_stat_replication"
_PASSWORDS = ("postgresql-password", "postgresql-runtime-password")


class _Standby(EmbeddedPostgreSQL):
    """A server that must not create a database or roles: it has those of the primary."""

    def _create_database_and_role(self) -> str:
        url = self._directory.url()
        assert url is not None
        return url


class Replica:
    """One of the two servers."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._stopped: list[int] = []

    @property
    def url(self) -> str:
        """The URL as the owner, a superuser."""
        url = running_url(self.data_dir)
        assert url is not None
        return url

    @property
    def runtime_url(self) -> str:
        """The URL as the role that serves requests."""
        url = running_runtime_url(self.data_dir)
        assert url is not None
        return url

    def run(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement as the superuser."""
        return run_statement(self.url, statement)

    def freeze(self) -> None:
        """Stop all processes of the server: it accepts connections and never responds."""
        postmaster = postmaster_pid(self.data_dir)
        os.kill(postmaster, signal.SIGSTOP)  # first, so that it starts no others
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text()
        self._stopped = [postmaster, *map(int, children.split())]
        for pid in self._stopped[1:]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the processes run again."""
        for pid in self._stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._stopped = []

    def become_read_only(self) -> None:
        """Refuse writes in all transactions that begin from now on."""
        self.run("ALTER SYSTEM SET default_transaction_read_only = on")
        self.run("SELECT pg_reload_conf()")

    def catch_up_with(self, primary: Replica) -> None:
        """Wait until this standby has replayed all transactions of a primary."""
        target = primary.run("SELECT pg_current_wal_insert_lsn()")[0][0]
        wait_until(lambda: self.run(f"SELECT pg_last_wal_replay_lsn() >= '{target}'") == [(True,)])

    def promote(self) -> None:
        """Make a standby the primary; return when it accepts writes."""
        assert self.run("SELECT pg_promote()") == [(True,)]


def url_of_both(first: str, second: str) -> str:
    """Return a URL with two hosts: the first one's, with the other one's added."""
    directories = [parse_qs(urlsplit(url).query)["host"][0] for url in (first, second)]
    host = ",".join(quote(directory, safe="") for directory in directories)
    return urlsplit(first)._replace(query=f"host={host}&port=5432").geturl()


@contextmanager
def primary_and_standby(directory: Path) -> Iterator[tuple[Replica, Replica]]:
    """Run two servers; the second one streams from the first one."""
    primary, standby = Replica(directory / "primary"), Replica(directory / "standby")
    address = _loopback_address()
    server = EmbeddedPostgreSQL(
        primary.data_dir, fsync=False, options={"listen_addresses": address}
    )
    with server as url:
        _copy(
            urlsplit(url)._replace(query=f"host={address}").geturl(),
            primary.data_dir,
            standby.data_dir,
        )
        with _Standby(standby.data_dir, fsync=False):
            wait_until(lambda: primary.run(_IS_STREAMING) == [(True,)])
            try:
                yield primary, standby
            finally:
                primary.thaw()
                standby.thaw()


def _loopback_address() -> str:
    """Return a loopback address of this process, so that the port is free.

    The standby streams over TCP: if PostgreSQL runs as another user than the tests do, that user
    may lack permission for the directory of the primary's socket.
    """
    pid = os.getpid()
    return f"127.83.{pid >> 8 & 255}.{pid & 255}"


def _copy(url: str, primary: Path, standby: Path) -> None:
    standby.mkdir(mode=0o700)
    for name in _PASSWORDS:
        shutil.copy2(primary / name, standby / name)
    command = [
        *(str(program("pg_basebackup")), "--pgdata", str(standby / "postgresql")),
        *("--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--dbname", url),
    ]
    subprocess.run(command, env=environment(), check=True, capture_output=True)
