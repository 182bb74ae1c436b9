"""`orderly serve`: start, graceful shutdown, reload, errors at start, and killed processes."""

from __future__ import annotations

import os
import pty
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psycopg2
import pytest

from orderly.embedded import running_url
from services.demo import ACCOUNTS
from services.revocation import FRESH_SECONDS
from tests.support.accounts import PASSWORD, demo_client
from tests.support.embedded_postgresql import connect
from tests.support.processes import Server, run_orderly, run_server, wait_until

MARY = {"email": "mary@example.com", "name": "Mary", "password": "nine-tides-over-burntisland"}
LOGIN = {"email": MARY["email"], "password": MARY["password"]}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_the_start_message_has_the_addresses_and_nothing_else_is_printed(data_dir: Path) -> None:
    with run_server(data_dir) as server:
        for path in ("/docs", "/health/ready", "/api/v1/products"):
            assert 200 == server.get(path).status_code

        lines = server.stdout.splitlines()
        assert lines[0].endswith(f"serves the shop in {data_dir}")
        assert [f"{server.url}/docs", f"{server.url}/api/v1"] == [
            line.split()[-1] for line in lines[1:3]
        ]
        assert 0 == server.stop()

    # For root without user namespaces, one more line says which account runs PostgreSQL.
    lines = [line for line in server.stdout.splitlines() if "PostgreSQL     runs as" not in line]
    assert lines[3].endswith(f"{server.url}/sandbox/mail")
    assert "orderly create-admin" in lines[4]
    assert 6 == len(lines)
    assert [("request", 200)] * 3 == [(event["event"], event["status"]) for event in server.log]


def test_responses_have_no_server_header(data_dir: Path) -> None:
    with run_server(data_dir) as server:
        assert "server" not in server.get("/docs").headers


@pytest.mark.parametrize(
    "start",
    [
        b"GET /health/live HTTP/1.1\r\nHost: shop\r\n",
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
    ],
    ids=["head", "trailers"],
)
@pytest.mark.parametrize(
    "field", [b"a" * 1024, b"a" * 1024 + b"\r\nX: "], ids=["one-field", "many-fields"]
)
def test_the_size_of_header_fields_is_limited(data_dir: Path, start: bytes, field: bytes) -> None:
    response = b""
    with run_server(data_dir) as server:
        with (
            suppress(ConnectionError),  # the server closes the connection early
            closing(socket.create_connection(("127.0.0.1", server.port), timeout=60)) as client,
        ):
            client.sendall(start + b"X: ")
            for _ in range(4096):
                client.sendall(field)
            client.sendall(b"\r\nConnection: close\r\n\r\n")
            response = client.recv(4096)

        assert not response or response.startswith(b"HTTP/1.1 400 ")
        assert 200 == server.get("/health/live").status_code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_graceful_shutdown_completes_a_request_in_flight(
    data_dir: Path, number: signal.Signals, workers: int
) -> None:
    with run_server(data_dir, "--workers", str(workers)) as server:
        with half_sent_request(server) as request:
            server.send_signal(number)
            wait_until(lambda: refuses_connections(server.port))
            request.send_rest()

            assert b"HTTP/1.1 201 Created" in request.response()

        assert 0 == server.wait()
    assert not (data_dir / "postgresql" / "postmaster.pid").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_graceful_shutdown_serves_a_request_on_a_connection_that_was_already_open(
    data_dir: Path, workers: int
) -> None:
    with run_server(data_dir, "--workers", str(workers)) as server:
        with closing(socket.create_connection(("127.0.0.1", server.port))) as connection:
            for _ in range(20):  # so the worker with the connection has accepted it
                assert 200 == server.get("/health/ready").status_code
            server.send_signal(signal.SIGTERM)
            wait_until(lambda: refuses_connections(server.port))

            connection.sendall(b"GET /api/v1/products HTTP/1.1\r\nHost: shop\r\n\r\n")
            connection.settimeout(10)
            with connection.makefile("rb") as stream:
                # read() returns at EOF: the server closes the connection after the response.
                assert stream.read().startswith(b"HTTP/1.1 200 OK\r\n")
        assert 0 == server.wait()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_ctrl_c_stops_without_waiting_for_requests(data_dir: Path, workers: int) -> None:
    with run_server(data_dir, "--workers", str(workers)) as server, half_sent_request(server):
        server.send_signal(signal.SIGINT)
        wait_until(lambda: refuses_connections(server.port))
        server.send_signal(signal.SIGINT)

        assert 130 == server.wait()
    assert not (data_dir / "postgresql" / "postmaster.pid").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_acknowledged_writes_survive_sigkill(data_dir: Path, workers: int) -> None:
    with run_server(data_dir, "--workers", str(workers)) as server:
        assert 201 == server.post("/api/v1/auth/register", MARY).status_code
        server.send_signal(signal.SIGKILL)
        server.wait()

    # The same port: no process of the killed server may still listen on it.
    with run_server(data_dir, "--port", str(server.port)) as server:
        assert 200 == server.post("/api/v1/auth/login", LOGIN).status_code


def test_a_port_in_use_is_an_error_before_any_file_is_created(data_dir: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        completed = run_orderly(
            "serve", "--data-dir", str(data_dir), "--port", str(port), directory=data_dir.parent
        )

    assert 1 == completed.returncode
    assert f"orderly: Cannot listen on 127.0.0.1 port {port}: address already in use.\n" == (
        completed.stderr
    )
    assert not data_dir.exists()


def test_the_start_message_says_how_to_create_the_first_administrator(data_dir: Path) -> None:
    with run_server(data_dir) as server:
        hint = "orderly create-admin EMAIL --name NAME --data-dir "
        assert f"Administrator  none yet; create one: {hint}{data_dir}\n" in server.stdout
        completed = run_orderly(
            *("create-admin", "ada@example.com", "--name", "Ada", "--data-dir", str(data_dir)),
            directory=data_dir.parent,
            ORDERLY_ADMIN_PASSWORD=PASSWORD,
        )
        assert 0 == completed.returncode, completed.stderr
    with run_server(data_dir) as server:
        assert "create-admin" not in server.stdout


def test_a_demo_accepts_pages_of_every_port_of_this_machine(data_dir: Path) -> None:
    origin = "http://localhost:5173"
    with run_server(data_dir, "--demo") as server, httpx2.Client(base_url=server.url) as client:
        response = client.get("/api/v1/products", headers={"Origin": origin})
        other = client.get("/api/v1/products", headers={"Origin": "https://evil.example"})

    assert server.url.startswith("http://localhost:")
    assert origin == response.headers["access-control-allow-origin"]
    assert "access-control-allow-origin" not in other.headers


def test_a_second_server_on_the_same_data_directory_is_an_error(data_dir: Path) -> None:
    with run_server(data_dir) as server:
        completed = run_orderly(
            "serve", "--data-dir", str(data_dir), "--port", "0", directory=data_dir.parent
        )

        assert 1 == completed.returncode
        assert f"process {server.process.pid}" in completed.stderr
        assert 1 == len(completed.stderr.splitlines())
        assert 200 == server.get("/health/ready").status_code


def test_an_unusable_data_directory_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    completed = run_orderly("serve", "--data-dir", "file/data", "--port", "0", directory=tmp_path)

    assert 1 == completed.returncode
    assert completed.stderr.startswith(f"orderly: Cannot store data in {tmp_path}/file/data: ")
    assert 1 == len(completed.stderr.splitlines())


def test_an_unreachable_database_is_a_one_line_error_without_the_password(tmp_path: Path) -> None:
    url = "postgresql://shop:hunter2@127.0.0.1:1/shop"

    completed = run_orderly(
        *("serve", "--port", "0"),
        directory=tmp_path,
        ORDERLY_DATABASE_URL=url,
        ORDERLY_DATABASE_WAIT_SECONDS="0",
    )

    assert 1 == completed.returncode
    assert "Connection refused" in completed.stderr
    assert "hunter2" not in completed.stderr
    assert 1 == len(completed.stderr.splitlines())


def test_the_server_uses_the_database_of_the_setting(tmp_path: Path, database_url: str) -> None:
    with run_server(tmp_path / "data", ORDERLY_DATABASE_URL=database_url) as server:
        assert "ORDERLY_DATABASE_URL" in server.stdout.splitlines()[0]
        assert 201 == server.post("/api/v1/auth/register", MARY).status_code
        cookies = server.post("/api/v1/auth/login", LOGIN).headers.get_list("set-cookie")

    assert 2 == len(cookies)
    assert all("; secure" in cookie.lower() for cookie in cookies)
    assert not (tmp_path / "data" / "postgresql").exists()


def test_the_reason_for_an_unavailable_database_is_logged_in_one_line(
    tmp_path: Path, postgresql: str, new_database: Callable[[str | None], str]
) -> None:
    url = new_database(None)
    name = urlsplit(url).path.strip("/")
    with run_server(tmp_path / "data", ORDERLY_DATABASE_URL=url) as server:
        with closing(psycopg2.connect(postgresql)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )

        assert 503 == server.get("/api/v1/products").status_code

    events = [event for event in server.log if event["event"] == "service_unavailable"]
    assert ["list_products"] == [event["operation_id"] for event in events]
    assert "is not currently accepting connections" in events[0]["reason"]
    assert len(events[0]["reason"].splitlines()) == 1
    assert "exception" not in events[0]


def test_the_embedded_database_has_a_connection_for_every_thread(data_dir: Path) -> None:
    with run_server(data_dir, "--workers", "2", ORDERLY_THREADS="250"):
        url = running_url(data_dir)
        assert url is not None
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW max_connections")

            # A worker that is being replaced and its replacement hold connections concurrently.
            assert 3 * 251 < int(cursor.fetchone()[0])


def test_the_printed_demo_accounts_can_sign_in(data_dir: Path) -> None:
    with run_server(data_dir, "--demo") as server:
        sign_ins = [
            line.split("  ")[-2:] for line in server.stdout.splitlines()[-1 - len(ACCOUNTS) : -1]
        ]
        assert [[account.email, account.password] for account in ACCOUNTS] == [
            [email.strip(), password] for email, password in sign_ins
        ]
        for email, password in sign_ins:
            credentials = {"email": email.strip(), "password": password}
            assert 200 == server.post("/api/v1/auth/login", credentials).status_code
        assert server.get("/api/v1/products").json()["items"]


@pytest.mark.parametrize(
    ("host", "variables"),
    [
        ("0.0.0.0", {}),
        ("127.0.0.1", {"ORDERLY_DATABASE_URL": "postgresql://127.0.0.1:1/shop"}),
    ],
)
def test_the_demo_needs_a_loopback_address_and_the_embedded_database(
    tmp_path: Path, host: str, variables: dict[str, str]
) -> None:
    completed = run_orderly(
        "serve", "--demo", "--host", host, "--port", "0", directory=tmp_path, **variables
    )

    assert 2 == completed.returncode
    assert "--demo only" in completed.stderr


def test_a_shop_keeps_the_currency_of_its_orders(data_dir: Path) -> None:
    with run_server(data_dir, "--demo") as server:
        buyer = {"email": ACCOUNTS[1].email, "password": ACCOUNTS[1].password}
        token = server.post("/api/v1/auth/token", buyer).json()["access_token"]
        product = server.get("/api/v1/products?in_stock=true").json()["items"][0]
        order = {"items": [{"product_id": product["id"], "quantity": 1}]}
        url, headers = f"{server.url}/api/v1/orders", {"Authorization": f"Bearer {token}"}
        assert 201 == httpx2.post(url, json=order, headers=headers).status_code
        assert 0 == server.stop()

    (data_dir / "products.csv").write_text("sku,name,price\nMUG,Mug,1990\n")
    for command in (
        ("serve", "--demo", "--port", "0"),
        ("import-products", "products.csv"),
        ("export-products",),
    ):
        arguments = (*command, "--data-dir", str(data_dir))
        completed = run_orderly(*arguments, directory=data_dir, ORDERLY_CURRENCY="JPY")

        assert (2, "") == (completed.returncode, completed.stdout)
        assert "ORDERLY_CURRENCY: The shop has orders in EUR" in completed.stderr
    with run_server(data_dir, "--demo") as server:
        assert 200 == server.get("/api/v1/products").status_code


def test_all_invalid_settings_are_reported_before_anything_starts(tmp_path: Path) -> None:
    completed = run_orderly(
        "serve",
        "--data-dir",
        "data",
        directory=tmp_path,
        ORDERLY_PORT="http",
        ORDERLY_SIGNING_KEY="hunter2",
        ORDERLY_PROT="8000",
    )

    assert 2 == completed.returncode
    assert [
        "orderly: ORDERLY_PORT: Not a valid integer.",
        "orderly: ORDERLY_SIGNING_KEY: Shorter than 32 bytes.",
        "orderly: ORDERLY_PROT: There is no such setting; did you mean ORDERLY_PORT?",
    ] == completed.stderr.splitlines()
    assert [] == list(tmp_path.iterdir())


def test_an_embedded_database_that_dies_is_restarted(data_dir: Path) -> None:
    with run_server(data_dir) as server:
        assert 201 == server.post("/api/v1/auth/register", MARY).status_code

        server.kill_postgresql(data_dir)

        assert 200 == server.post("/api/v1/auth/login", LOGIN).status_code
        assert "embedded_database_died" in [event["event"] for event in server.log]
        assert 0 == server.stop()


def test_signed_in_clients_are_served_again_after_a_long_database_outage(data_dir: Path) -> None:
    """After a long outage the server loads the revoked sessions before it accepts any session."""
    with (
        run_server(data_dir, "--demo") as server,
        demo_client(server) as client,
        closing(connect(data_dir)) as connection,
    ):
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)  # PostgreSQL restarts only after old backends have ended
        resume = threading.Timer(FRESH_SECONDS + 0.5, os.kill, [backend, signal.SIGCONT])
        resume.start()

        server.kill_postgresql(data_dir)

        resume.join()
        assert 200 == client.get("/api/v1/users/me").status_code


def test_a_worker_that_dies_is_replaced(data_dir: Path) -> None:
    with run_server(data_dir, "--workers", "2") as server:
        workers = server.worker_pids()
        assert 2 == len(workers)
        os.kill(min(workers), signal.SIGKILL)

        wait_until(
            lambda: len(server.worker_pids() - workers) == 1 and len(server.worker_pids()) == 2
        )
        for _ in range(10):
            assert 200 == server.get("/health/ready").status_code
        assert 0 == server.stop()
    assert ["server_process_replaced"] == [
        event["event"] for event in server.log if event["event"] != "request"
    ]


def test_sighup_replaces_the_workers_without_failing_a_request(data_dir: Path) -> None:
    with run_server(data_dir, "--workers", "2") as server:
        before = server.worker_pids()
        server.send_signal(signal.SIGHUP)

        served = 0
        while server.worker_pids() & before or len(server.worker_pids()) != 2:
            assert 200 == server.get("/health/ready").status_code
            served += 1
        assert served > 2
        assert 0 == server.stop()


def test_a_persistent_connection_gets_connection_close_when_workers_are_replaced(
    data_dir: Path,
) -> None:
    with (
        run_server(data_dir, "--workers", "2") as server,
        closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection,
    ):
        before = server.worker_pids()
        server.send_signal(signal.SIGHUP)

        # The client reconnects after Connection: close. Without it, the next request would fail.
        closed = 0
        while server.worker_pids() & before or len(server.worker_pids()) != 2:
            connection.request("GET", "/health/live")
            response = connection.getresponse()
            assert response.read()
            closed += response.will_close
            time.sleep(0.1)
        assert closed > 0


def test_the_server_can_be_stopped_while_workers_are_replaced(data_dir: Path) -> None:
    with run_server(data_dir, "--workers", "2") as server:
        before = server.worker_pids()
        server.send_signal(signal.SIGHUP)
        wait_until(lambda: server.worker_pids() - before)
        server.send_signal(signal.SIGTERM)

        started: set[int] = set()
        while server.process.poll() is None:
            with suppress(OSError):  # the process has just ended
                started |= server.worker_pids() - before
            time.sleep(0.02)
        assert 0 == server.wait()
    assert 1 == len(started)


def test_a_server_without_worker_processes_ignores_sighup(data_dir: Path) -> None:
    with run_server(data_dir) as server:
        server.send_signal(signal.SIGHUP)

        assert 200 == server.get("/health/ready").status_code
        assert 0 == server.stop()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_server_stops_gracefully_when_its_terminal_is_closed(
    data_dir: Path, workers: int
) -> None:
    master, slave = pty.openpty()
    with run_server(data_dir, "--workers", str(workers), terminal=slave) as server:
        os.close(slave)
        assert 200 == server.get("/health/ready").status_code
        os.close(master)

        assert 0 == server.wait()
    assert not (data_dir / "postgresql" / "postmaster.pid").exists()


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.5, 0.7])
def test_the_server_can_be_stopped_while_it_starts(data_dir: Path, seconds: float) -> None:
    server = Server.start(data_dir)
    time.sleep(seconds)
    server.send_signal(signal.SIGTERM)

    assert server.wait() in {0, 130, -signal.SIGTERM}
    assert "Traceback" not in server.stderr
    with run_server(data_dir) as server:
        assert 200 == server.get("/health/ready").status_code


# -- helpers


class HalfSentRequest:
    """A registration request of which the last five bytes have not been sent."""

    def __init__(self, connection: socket.socket) -> None:
        body = httpx2.Request("POST", "http://shop", json=MARY).read()
        head = (
            "POST /api/v1/auth/register HTTP/1.1\r\nHost: shop\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._connection = connection
        self._rest = body[-5:]
        connection.sendall(head.encode() + body[:-5])

    def send_rest(self) -> None:
        self._connection.sendall(self._rest)

    def response(self) -> bytes:
        """Return everything that the server sends until it closes the connection."""
        parts = []
        while part := self._connection.recv(65536):
            parts.append(part)
        return b"".join(parts)


@contextmanager
def half_sent_request(server: Server) -> Iterator[HalfSentRequest]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        request = HalfSentRequest(connection)
        # A response on another connection of the same process shows that this request was read too.
        # With two processes, ten responses make that almost certain.
        for _ in range(10):
            server.get("/health/live")
        yield request


def refuses_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return True
    return False
