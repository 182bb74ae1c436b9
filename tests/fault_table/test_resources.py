"""Resources that run out, clients that misbehave, clocks, and other services that fail."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import httpx2

from benchmarks.overload.generator import Plan
from orderly.embedded import EmbeddedPostgreSQL
from tests.fault_table.conftest import Measured
from tests.fault_table.running_shop import Shop, run_shop
from tests.support.processes import ROOT, TIMEOUT_SECONDS, orderly_environment, wait_until
from tests.support.proxies import free_port
from tests.support.shop import place_order

LIBFAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
SKEW_SECONDS = 60
IDLE_CONNECTIONS = 300
DISK_BYTES = 200 << 20


@contextmanager
def small_disk(directory: Path) -> Iterator[None]:
    """Mount a disk of 200 MB. Needs root."""
    directory.mkdir(parents=True)
    options = f"size={DISK_BYTES},mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


def fill(directory: Path) -> Path:
    """Fill a disk; return the file."""
    filler = directory / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 20)):
            pass
    return filler


def test_the_disk_of_the_database_is_full(tmp_path: Path, measured: Measured) -> None:
    """The disk of the data directory is full."""
    with (
        small_disk(tmp_path / "data"),
        run_shop(tmp_path) as shop,
        measured(shop, "OrderlyDatabaseDiskFull") as fault,
    ):
        filler = fill(shop.data_dir)
        fault.hold("OrderlyDatabaseDiskFull")
        fault.hold()
        filler.unlink()


def test_the_disk_of_the_log_is_full(tmp_path: Path, measured: Measured) -> None:
    """The disk of the log file is full."""
    logs = tmp_path / "logs"
    with small_disk(logs), run_shop(tmp_path, ORDERLY_LOG_FILE=str(logs / "orderly.log")) as shop:
        with measured(shop) as fault:
            filler = fill(logs)
            fault.hold()
            filler.unlink()
        wait_until(lambda: "log_lines_dropped" in (logs / "orderly.log").read_text())


def test_nobody_reads_the_log(tmp_path: Path, measured: Measured) -> None:
    """The reader of the log (a pipe) is frozen, and the pipe is full."""
    pipe = tmp_path / "log"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with run_shop(tmp_path, ORDERLY_LOG_FILE=str(pipe)) as shop, measured(shop) as fault:
            fault.hold()
            os.set_blocking(reader, True)
            threading.Thread(target=_drain, args=(reader,), daemon=True).start()
    finally:
        os.close(reader)


def _drain(pipe: int) -> None:
    while os.read(pipe, 1 << 16):
        pass


def test_overload(shop: Shop, measured: Measured) -> None:
    """Other clients send twice as many orders as the shop can process, for 15 s."""
    with measured(shop, "OrderlyOverloaded") as fault:
        plan = Plan(
            host="127.0.0.1",
            port=shop.server.port,
            tokens=shop.tokens,
            products=[fault.other["id"]] * 500,  # it takes a sample of 500
            patience_seconds=3.0,
            core=None,
            reads=0.0,
            clients=32,
            search_seconds=2,
            rush=2.0,
            rush_seconds=15,
            after=0.0,
            after_seconds=0.0,
        )
        subprocess.run(
            [sys.executable, "-m", "benchmarks.overload.generator"],
            cwd=ROOT,
            input=json.dumps(asdict(plan)),
            stdout=subprocess.DEVNULL,
            text=True,
            check=True,
        )


def test_slow_and_silent_clients(shop: Shop, measured: Measured) -> None:
    """600 other connections are silent, or send half of a request."""
    with measured(shop) as fault, ExitStack() as stack:
        for number in range(2 * IDLE_CONNECTIONS):
            connection = socket.create_connection(("127.0.0.1", shop.server.port))
            stack.callback(connection.close)
            if number % 2:
                connection.sendall(b"POST /api/v1/orders HTTP/1.1\r\nHost: shop\r\nContent-Le")
        fault.hold()


def test_too_many_connections(tmp_path: Path, measured: Measured) -> None:
    """Silent clients open twice as many connections as `ORDERLY_MAX_CONNECTIONS` allows."""
    with (
        run_shop(tmp_path, ORDERLY_MAX_CONNECTIONS="100") as shop,
        measured(shop) as fault,
        ExitStack() as stack,
    ):
        for _ in range(400):
            connection = socket.create_connection(("127.0.0.1", shop.server.port))
            stack.callback(connection.close)
        fault.hold()


def test_no_free_file_descriptor(shop: Shop, measured: Measured) -> None:
    """The system allows the server processes no more open files."""
    with measured(shop) as fault, ExitStack() as stack:
        limits = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids(shop)}
        for pid, (_, hard) in limits.items():
            opened = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (opened, hard))
        for _ in range(20):
            connection = socket.create_connection(("127.0.0.1", shop.server.port))
            stack.callback(connection.close)
        fault.hold()
        for pid, limit in limits.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)


def pids(shop: Shop) -> set[int]:
    return shop.server.worker_pids()


def test_clock_skew(tmp_path: Path, measured: Measured) -> None:
    """The clock of the server is 60 s ahead of that of the database."""
    clock = tmp_path / "clock"
    clock.write_text("+0")
    with (
        EmbeddedPostgreSQL(tmp_path / "p", fsync=False) as url,
        run_shop(
            tmp_path,
            # With libfaketime, the supervisor does not notice that server processes are ready.
            *("--workers", "1"),
            database_url=url,
            ORDERLY_DATABASE_URL=url,
            LD_PRELOAD=LIBFAKETIME,
            FAKETIME_TIMESTAMP_FILE=str(clock),
            FAKETIME_CACHE_DURATION="1",
            DONT_FAKE_MONOTONIC="1",
        ) as shop,
        measured(shop, "OrderlyClockSkew") as fault,
    ):
        clock.write_text(f"+{SKEW_SECONDS}")
        fault.hold("OrderlyClockSkew")
        clock.write_text("+0")


def test_kill_the_worker(tmp_path: Path, measured: Measured) -> None:
    """The separate `orderly worker` is killed, and started again when the alert fires."""
    port = free_port()
    with ExitStack() as stack:
        url = stack.enter_context(EmbeddedPostgreSQL(tmp_path / "p", fsync=False))
        variables = {"ORDERLY_DATABASE_URL": url}

        def start_worker() -> subprocess.Popen[bytes]:
            worker = subprocess.Popen(
                [sys.executable, "-m", "orderly", "worker"],
                env=orderly_environment(**variables, ORDERLY_METRICS_PORT=str(port)),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(stop, worker)
            return worker

        subprocess.run(
            [sys.executable, "-m", "orderly", "migrate"],
            env=orderly_environment(**variables),
            check=True,
        )
        worker = start_worker()
        shop = stack.enter_context(
            run_shop(
                tmp_path,
                "--no-worker",
                database_url=url,
                targets=(f"127.0.0.1:{port}",),
                **variables,
                ORDERLY_WORKER_SILENCE_SECONDS="10",
            )
        )
        with measured(shop, "OrderlyNotReady") as fault:
            worker.kill()
            fault.hold("OrderlyNotReady")
            start_worker()


def stop(worker: subprocess.Popen[bytes]) -> None:
    worker.terminate()
    worker.wait(TIMEOUT_SECONDS)


def test_payment_provider_down(shop: Shop, measured: Measured) -> None:
    """The payment provider hangs, while customers try to pay."""
    assert shop.stripe is not None
    with measured(shop) as fault, httpx2.Client(base_url=shop.server.url, timeout=60) as client:
        client.headers["Authorization"] = f"Bearer {shop.tokens[0]}"
        orders = [place_order(client, (fault.other, 1)).json() for _ in range(8)]
        shop.stripe.delay = 30

        def pay(order: dict[str, str]) -> int:
            response = client.post(f"/api/v1/orders/{order['id']}/payments", json={})
            return response.status_code

        began = time.monotonic()
        with ThreadPoolExecutor(8) as threads:
            statuses = set(threads.map(pay, orders))
        fault.notes.append(f"payments: 503 after at most {time.monotonic() - began:.1f} s")
        shop.stripe.delay = 0
        fault.end()
        assert 503 in statuses <= {429, 503}  # a user may create only some at the same time
        wait_until(lambda: all(pay(order) in {201, 409} for order in orders))
