"""Runs the measured servers in their usual configurations, on one embedded PostgreSQL."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from benchmarks import shop
from benchmarks.load import Measured, Wrk
from database import binding, migrations
from orderly.embedded import EmbeddedPostgreSQL
from orderly.settings import Settings
from services import process

ORDERLY = "Orderly"
ASYNCPG = "FastAPI + asyncpg"
FASTIFY = "Fastify + node-postgres"
PRISMA = "Express + Prisma"
FASTAPI = "FastAPI + SQLAlchemy"
STOCK = "stock Connexion + Peewee"
# The module of each Python application that Orderly is compared with
_PYTHON_PEERS: Mapping[str, str] = {
    ASYNCPG: "benchmarks.peers.fastapi_asyncpg",
    FASTAPI: "benchmarks.peers.fastapi_sqlalchemy",
    STOCK: "benchmarks.peers.connexion_peewee",
}
# The directory of each Node.js application that Orderly is compared with
_NODE_PEERS: Mapping[str, Path] = {
    FASTIFY: Path(__file__).parent / "peers" / "fastify",
    PRISMA: Path(__file__).parent / "peers" / "prisma",
}
_START_TIMEOUT_SECONDS = 30.0
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Ground(NamedTuple):
    """What all servers share: a filled database with fsync, and the settings for it."""

    settings: Settings
    directory: Path
    stock: shop.Stock

    @property
    def url(self) -> str:
        """The database's URL."""
        assert self.settings.database_url is not None
        return self.settings.database_url


class Running(NamedTuple):
    """A running server."""

    address: str
    pid: int


@contextmanager
def ground(past_orders: int = 0) -> Iterator[Ground]:
    """Start a PostgreSQL, and fill a shop in it with this number of past orders."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        with EmbeddedPostgreSQL(directory / "data") as url:
            settings = replace(
                Settings.from_environment({}),
                database_url=url,
                data_dir=directory / "data",
                cookie_secure=False,
                access_token_minutes=24 * 60,
                log_format="json",
                # The load comes from one client.
                request_limit=10_000_000,
                # The other servers send no mails. The sandbox writes each to several files.
                sandbox_mail=False,
                sandbox_payments=False,
            )
            process.bind(settings.configuration())
            binding.bind(url, max_connections=2)
            migrations.apply()
            try:
                yield Ground(settings, directory, shop.fill(url, directory, past_orders))
            finally:
                binding.close()


@contextmanager
def serving(stack: str, on: Ground, workers: int = 1) -> Iterator[Running]:
    """Run a server for the duration of the block."""
    if stack == ORDERLY:
        with orderly(replace(on.settings, workers=workers), on.directory) as running:
            yield running
        return
    port = free_port()
    if stack in _NODE_PEERS:
        command = _node(_NODE_PEERS[stack])
    else:
        command = _uvicorn(_PYTHON_PEERS[stack], port, workers)
    environment = {
        **os.environ,
        "NODE_ENV": "production",
        "PEER_DATABASE_URL": on.url,
        "PEER_PORT": port,
        "PEER_SIGNING_KEY": on.settings.configuration().signing_key.decode("latin-1"),
    }
    with (on.directory / "peer.log").open("ab") as log:
        # A process group: `node` of the PyPI package is a Python program that starts Node.js.
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(f"{address}/api/v1/products?limit=1", process, on.directory / "peer.log")
            yield Running(address, process.pid)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


@contextmanager
def orderly(
    settings: Settings, directory: Path, module: str = "orderly", python: Path | None = None
) -> Iterator[Running]:
    """Run `orderly serve` with the given settings; the request log is written to a file.

    Another module may run the command instead. `python` is that of the virtual environment in which
    Orderly is installed, if it is not this one.
    """
    with (directory / "orderly.log").open("ab") as log:
        process = subprocess.Popen(
            # -I: otherwise the modules of the checkout take precedence over the installed ones.
            [
                *([sys.executable] if python is None else [python, "-I"]),
                *["-m", module, "serve", "--port", "0"],
            ],
            env={**os.environ, **settings.as_environment(), "ORDERLY_PORT": "0"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if found := re.search(r"API +(http://[^/]+)", line):
                    yield Running(found[1], process.pid)
                    break
            else:
                raise RuntimeError(f"orderly did not start: see {log.name}")
        finally:
            process.terminate()
            process.communicate()


def _uvicorn(module: str, port: str, workers: int) -> list[str]:
    return [
        *[sys.executable, "-m", "uvicorn", f"{module}:app", "--port", port],
        *["--workers", str(workers), "--no-access-log", "--log-level", "warning"],
        *["--loop", "uvloop", "--http", "httptools"],
    ]


def _node(directory: Path) -> list[str]:
    """Return the command of a Node.js server, whose packages are installed if necessary."""
    if not (directory / "node_modules").is_dir():
        options = ["--ignore-scripts", "--no-fund", "--no-audit"]
        run(["npm", "ci", "--prefix", str(directory), *options])
        run(["npm", "run", "--prefix", str(directory), "--if-present", "generate"])
    return ["node", str(directory / "server.js")]


class Cpu(NamedTuple):
    """CPU time in seconds since the start: of a server, and of PostgreSQL."""

    server: float
    database: float

    @classmethod
    def now(cls, server_pid: int) -> Cpu:
        """Read the CPU times of the processes of a server, and of this process' PostgreSQL.

        If the server has several processes, those of its children are included.
        """
        processes = list(_processes())
        parents = {one.pid: one.parent for one in processes}

        def has_ancestor(pid: int, ancestor: int) -> bool:
            while pid and pid != ancestor:
                pid = parents.get(pid, 0)
            return pid == ancestor

        servers = [one.seconds for one in processes if has_ancestor(one.pid, server_pid)]
        postgres = [
            one.seconds
            for one in processes
            if one.name == "postgres" and has_ancestor(one.pid, os.getpid())
        ]
        return cls(sum(servers), sum(postgres))


class _Process(NamedTuple):
    pid: int
    parent: int
    name: str
    seconds: float


def _processes() -> Iterator[_Process]:
    """Yield all processes of the machine: proc_pid_stat(5)."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = file.read_text()
        except OSError:  # it has ended
            continue
        name = text[text.index("(") + 1 : text.rindex(")")]
        fields = text[text.rindex(")") + 2 :].split()
        # utime, stime, cutime and cstime: also the times of children that have ended
        seconds = sum(map(int, fields[11:15])) / _TICKS_PER_SECOND
        yield _Process(int(file.parent.name), int(fields[1]), name, seconds)


def measure(
    server: Running, script: Path, arguments: Sequence[object], *, clients: int, seconds: int
) -> Measured:
    """Send requests by wrk; also measure the CPU time of the server and of PostgreSQL."""
    before = Cpu.now(server.pid)
    load = Wrk(server.address, script, arguments, clients=clients, seconds=seconds)
    measured = load.result()
    after = Cpu.now(server.pid)
    return measured.with_cpu(
        measured.rate * seconds, after.server - before.server, after.database - before.database
    )


def run(command: list[str]) -> str:
    """Run a program and return its output.

    Raises:
        RuntimeError: the program failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def free_port() -> str:
    """Return a free TCP port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the peer did not start:\n{log.read_text()[-2000:]}")
