"""Logs of a real server: a full pipe, rotation, clients that leave, and PostgreSQL's own log."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orderly.embedded.log_file import LogFile
from tests.support.embedded_postgresql import connect
from tests.support.processes import Server, orderly_environment, run_server, wait_until

PRODUCTS = "/api/v1/products"


class Shop:
    """A server with an embedded database, which logs to a file."""

    def __init__(self, server: Server, data_dir: Path, log: Path) -> None:
        self.server = server
        self.data_dir = data_dir
        self.path = log

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def requests(self, **fields: object) -> list[dict[str, Any]]:
        return [line for line in self.log if {"event": "request", **fields}.items() <= line.items()]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    directory = tmp_path_factory.mktemp("logs")
    with run_server(
        directory / "data",
        ORDERLY_LOG_FILE=str(directory / "orderly.log"),
        ORDERLY_POSTGRESQL_LOG_STATEMENTS_MS="0",
        ORDERLY_POSTGRESQL_LOG_PLANS_MS="0",
        ORDERLY_WORKERS="2",
    ) as server:
        yield Shop(server, directory / "data", directory / "orderly.log")


def test_the_line_of_a_request_says_what_it_cost(shop: Shop) -> None:
    credentials = {"email": "nobody@example.com", "password": "x" * 20}

    response = shop.server.post("/api/v1/auth/login", credentials)

    request_id = response.headers["x-request-id"]
    wait_until(lambda: shop.requests(request_id=request_id))
    (line,) = shop.requests(request_id=request_id)
    assert "invalid_credentials" == line["problem"]
    assert line["round_trips"] >= 2
    assert 0 < line["database_ms"] <= line["duration_ms"]
    assert (response.num_bytes_downloaded, len(response.request.content)) == (
        line["bytes_out"],
        line["bytes_in"],
    )
    assert line["pid"] in shop.server.worker_pids()
    assert not line["client_gone"]


def test_a_client_that_leaves_before_the_answer_is_marked_as_gone(shop: Shop) -> None:
    body = json.dumps({"email": "nobody@example.com", "password": "y" * 20}).encode()
    head = (
        f"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: leaves\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )

    with socket.create_connection(("127.0.0.1", shop.server.port)) as connection:
        connection.sendall(head.encode() + body)

    wait_until(lambda: shop.requests(request_id="leaves"))
    assert shop.requests(request_id="leaves")[0]["client_gone"]


def test_after_logrotate_has_renamed_the_file_all_processes_log_to_a_new_one(shop: Shop) -> None:
    shop.server.get(PRODUCTS)
    wait_until(lambda: shop.requests(operation_id="list_products"))

    shop.path.rename(shop.path.with_suffix(".1"))

    def is_logged_by_both() -> bool:
        shop.server.get(PRODUCTS)
        return shop.path.exists() and len({line["pid"] for line in shop.requests()}) == 2

    wait_until(is_logged_by_both)


def test_postgresql_shows_processes_and_operations_and_logs_statements_and_plans(
    shop: Shop,
) -> None:
    servers = {f"orderly server {pid}" for pid in shop.server.worker_pids()}

    def is_shown() -> bool:
        # A background job may use the connection next, so the request is repeated.
        shop.server.get(f"{PRODUCTS}/01a20800-676e-7598-a9cd-edf85c4534c8")
        with closing(connect(shop.data_dir)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT application_name, query FROM pg_stat_activity")
            rows = cursor.fetchall()
        return servers <= {name for name, _ in rows} and any(
            query.startswith('/*get_product*/ EXECUTE "product.FIND"') and name in servers
            for name, query in rows
        )

    wait_until(is_shown)
    log = (shop.data_dir / "postgresql.log").read_text()
    assert '/*get_product*/ EXECUTE "product.FIND"' in log
    assert 'Query Text: PREPARE "product.FIND" AS SELECT' in log
    assert any(f"{name} LOG:  duration:" in log for name in servers)


def test_a_server_whose_log_nobody_reads_answers_and_reports_the_lines_it_dropped(
    tmp_path: Path,
) -> None:
    reader, writer = os.pipe()
    with (tmp_path / "stdout").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "orderly", "mock", "--port", "0"],
            cwd=tmp_path,
            env=orderly_environment(),
            stdout=out,
            stderr=writer,
        )
    os.close(writer)
    server = Server(process, tmp_path)
    try:
        wait_until(lambda: "Ctrl-C" in server.stdout)
        slowest = _fill_log(server.port, lines=5500)
        content = b""
        while b"log_lines_dropped" not in content:
            content += os.read(reader, 1 << 16)
        process.send_signal(signal.SIGTERM)
        while part := os.read(reader, 1 << 16):
            content += part
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(reader)

    lines = [json.loads(line) for line in content.splitlines()]
    (dropped,) = [line["count"] for line in lines if line["event"] == "log_lines_dropped"]
    assert 5500 == dropped + sum(line["event"] == "request" for line in lines)
    assert slowest < 5


def _fill_log(port: int, *, lines: int) -> float:
    """Send requests with long paths, pipelined; return the seconds of the slowest 50."""
    request = f"GET /{'x' * 500} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    slowest = 0.0
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        for _ in range(lines // 50):
            began = time.monotonic()
            connection.sendall(request * 50)
            received = b""
            while received.count(b"HTTP/1.1 404") < 50:
                received += connection.recv(1 << 16)
            slowest = max(slowest, time.monotonic() - began)
    return slowest


def test_a_log_file_that_cannot_be_opened_is_an_error_of_its_setting(tmp_path: Path) -> None:
    completed = subprocess.run(
        [sys.executable, "-m", "orderly", "mock", "--port", "0"],
        cwd=tmp_path,
        env=orderly_environment(ORDERLY_LOG_FILE=str(tmp_path / "missing" / "orderly.log")),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    error = "orderly: ORDERLY_LOG_FILE: Cannot be opened for appending: No such file or directory."
    assert (2, error) == (completed.returncode, completed.stderr.strip())


def test_the_log_of_postgresql_is_rotated_while_a_process_appends_to_it(tmp_path: Path) -> None:
    path = tmp_path / "postgresql.log"
    log = LogFile(path, max_bytes=10_000)

    with log.open() as file:
        for number in range(5000):
            file.write(b"%099d\n" % number)
            file.flush()
            log.rotate_if_too_large()
            time.sleep(0.0001)

    wait_until(lambda: not (tmp_path / "postgresql.log.new").exists())
    log.rotate_if_too_large()
    wait_until(lambda: path.stat().st_size <= 10_000)
    assert 4999 in {
        int(line)
        for name in ("postgresql.log", "postgresql.log.1")
        for line in (tmp_path / name).read_text().splitlines()
    }
