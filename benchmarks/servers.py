"""Runs the measured servers in their usual configurations, on one embedded PostgreSQL."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from benchmarks import shop
from database import binding, migrations
from orderly.embedded import EmbeddedPostgreSQL
from orderly.settings import Settings
from services import process

ORDERLY = "Orderly"
FASTAPI = "FastAPI + SQLAlchemy"
STOCK = "stock Connexion + Peewee"
# The servers that Orderly is compared with, and the module of each application.
PEERS: Mapping[str, str] = {
    FASTAPI: "benchmarks.peers.fastapi_sqlalchemy",
    STOCK: "benchmarks.peers.connexion_peewee",
}
_START_TIMEOUT_SECONDS = 30.0


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
def ground() -> Iterator[Ground]:
    """Start a PostgreSQL and fill a shop in it."""
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
            )
            process.bind(settings.configuration())
            binding.bind(url, max_connections=2)
            migrations.apply()
            try:
                yield Ground(settings, directory, shop.fill(url, directory))
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
    command = [
        *[sys.executable, "-m", "uvicorn", f"{PEERS[stack]}:app", "--port", port],
        *["--workers", str(workers), "--no-access-log", "--log-level", "warning"],
        *["--loop", "uvloop", "--http", "httptools"],
    ]
    environment = {
        **os.environ,
        "PEER_DATABASE_URL": on.url,
        "PEER_SIGNING_KEY": on.settings.configuration().signing_key.decode("latin-1"),
    }
    with (on.directory / "peer.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(f"{address}/api/v1/products?limit=1", process, on.directory / "peer.log")
            yield Running(address, process.pid)
        finally:
            process.terminate()
            process.wait()


@contextmanager
def orderly(settings: Settings, directory: Path, module: str = "orderly") -> Iterator[Running]:
    """Run `orderly serve` with its default settings; the request log is written to a file.

    Another module may run the command instead.
    """
    with (directory / "orderly.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "serve", "--port", "0"],
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
