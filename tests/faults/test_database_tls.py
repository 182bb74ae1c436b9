"""A server whose connection to PostgreSQL could be intercepted warns at its start."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.processes import Server, run_server


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with closing(writer):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


async def _forward(path: str, port: Future[int], stop: Future[None]) -> None:
    """Forward connections from a TCP port of this machine to a Unix socket."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(path)
        await asyncio.gather(_copy(reader, to_server), _copy(from_server, writer))

    async with await asyncio.start_server(forward, socket.gethostname(), 0) as listening:
        port.set_result(listening.sockets[0].getsockname()[1])
        await asyncio.wrap_future(stop)


@pytest.fixture
def remote_url(runtime_url: str) -> Iterator[str]:
    """Return a URL that reaches the database by the name of this machine, through TCP."""
    parts = urlsplit(runtime_url)
    query = parse_qs(parts.query)
    path = f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"
    port: Future[int] = Future()
    stop: Future[None] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_forward(path, port, stop)))
    thread.start()
    credentials = parts.netloc.partition("@")[0]
    yield f"postgresql://{credentials}@{socket.gethostname()}:{port.result(10)}{parts.path}"
    stop.set_result(None)
    thread.join()


def warnings(server: Server) -> list[str]:
    return [event["event"] for event in server.log if event["level"] == "warning"]


def test_a_remote_database_whose_certificate_is_not_verified_causes_one_warning(
    tmp_path: Path, remote_url: str
) -> None:
    variables = {"ORDERLY_DATABASE_URL": remote_url, "ORDERLY_SIGNING_KEY": "k" * 32}
    with run_server(tmp_path / "data", ORDERLY_WORKERS="2", **variables) as server:
        assert ["database_not_verified"] == warnings(server)
