"""`orderly serve` from its start to its end, and through what may happen to it meanwhile."""

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
from tests.support.accounts import demo_client
from tests.support.embedded_postgresql import connect
from tests.support.processes import Server, run_orderly, run_server, wait_until

ADA = {"email": "ada@example.com", "name": "Ada", "password": "brew-42-slow-mornings"}
LOGIN = {"email": ADA["email"], "password": ADA["password"]}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_it_says_where_it_serves_and_writes_nothing_else(data_dir: Path) -> None:
    with run_server(data_dir) as server:
        for path in ("/docs", "/health/ready", "/api/v1/products"):
            assert 200 == server.get(path).status_code

        lines = server.stdout.splitlines()
        assert lines[0].endswith(f"serves the shop in {data_dir}")
        assert [f"{server.url}/docs", f"{server.url}/api/v1"] == [
            line.split()[-1] for line in lines[1:3]
        ]
        assert 0 == server.stop()

    assert 4 == len(server.stdout.splitlines())
    assert [("request", 200)] * 3 == [(event["event"], event["status"]) for event in server.log]


def test_it_does_not_name_the_software_it_runs_on(data_dir: Path) -> None:
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
@pytest.mark.parametrize("field", [b"a" * 1024, b"a" * 1024 + b"\r\nX: "], ids=["one", "many"])
def test_it_does_not_listen_for_ever_to_header_fields(
    data_dir: Path, start: bytes, field: bytes
) -> None:
    answer = b""
    with run_server(data_dir) as server:
        with (
            suppress(ConnectionError),  # refused before all was sent
            closing(socket.create_connection(("127.0.0.1", server.port), timeout=60)) as client,
        ):
            client.sendall(start + b"X: ")
            for _ in range(4096):
                client.sendall(field)
            client.sendall(b"\r\nConnection: close\r\n\r\n")
            answer = client.recv(4096)

        assert b"x-request-id" not in answer.lower()
        assert 200 == server.get("/health/live").status_code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_in_flight_is_answered_before_it_stops(
    data_dir: Path, number: signal.Signals, workers: int
) -> None:
    with run_server(data_dir, "--workers", str(workers)) as server:
        with half_sent(server) as request:
            server.send_signal(number)
            wait_until(lambda: refuses_connections(server.port))
            request.send_rest()

            assert b"HTTP/1.1 201 Created" in request.answer()

        assert 0 == server.wait()
    assert not (data_dir / "postgresql" / "postmaster.pid").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_just_about_to_be_sent_is_answered_before_it_stops(
    data_dir: Path, workers: int
) -> None:
    with run_server(data_dir, "--workers", str(workers)) as server:
        with closing(socket.create_connection(("127.0.0.1", server.port))) as connection:
            for _ in range(20):  # some of them by the process that has the connection
                assert 200 == server.get("/health/ready").status_code
            server.send_signal(signal.SIGTERM)
            wait_until(lambda: refuses_connections(server.port))

            connection.sendall(b"GET /health/ready HTTP/1.1\r\nHost: shop\r\n\r\n")
            connection.settimeout(10)
            with connection.makefile("rb") as answered:
                assert answered.read().startswith(b"HTTP/1.1 200 OK\r\n")  # and then it ends
        assert 0 == server.wait()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_ctrl_c_waits_for_nobody(data_dir: Path, workers: int) -> None:
    with run_server(data_dir, "--workers", str(workers)) as server, half_sent(server):
        server.send_signal(signal.SIGINT)
        wait_until(lambda: refuses_connections(server.port))
        server.send_signal(signal.SIGINT)

        assert 130 == server.wait()
    assert not (data_dir / "postgresql" / "postmaster.pid").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_answered_survives_kill_9(data_dir: Path, workers: int) -> None:
    with run_server(data_dir, "--workers", str(workers)) as server:
        assert 201 == server.post("/api/v1/auth/register", ADA).status_code
        server.send_signal(signal.SIGKILL)
        server.wait()

    # The same port: nothing of the killed one may still hold it.
    with run_server(data_dir, "--port", str(server.port)) as server:
        assert 200 == server.post("/api/v1/auth/login", LOGIN).status_code


def test_a_taken_port_is_told_before_any_work(data_dir: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        done = run_orderly(
            "serve", "--data-dir", str(data_dir), "--port", str(port), directory=data_dir.parent
        )

    assert 1 == done.returncode
    assert f"orderly: Cannot listen on 127.0.0.1 port {port}: address already in use.\n" == (
        done.stderr
    )
    assert not data_dir.exists()


def test_a_second_one_on_the_same_data_is_refused(data_dir: Path) -> None:
    with run_server(data_dir) as server:
        done = run_orderly(
            "serve", "--data-dir", str(data_dir), "--port", "0", directory=data_dir.parent
        )

        assert 1 == done.returncode
        assert f"process {server.process.pid}" in done.stderr
        assert 1 == len(done.stderr.splitlines())
        assert 200 == server.get("/health/ready").status_code


def test_a_data_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    done = run_orderly("serve", "--data-dir", "file/data", "--port", "0", directory=tmp_path)

    assert 1 == done.returncode
    assert done.stderr.startswith(f"orderly: Cannot keep data in {tmp_path}/file/data: ")
    assert 1 == len(done.stderr.splitlines())


def test_a_database_that_cannot_be_reached_is_told_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://shop:hunter2@127.0.0.1:1/shop"

    done = run_orderly("serve", "--port", "0", directory=tmp_path, ORDERLY_DATABASE_URL=url)

    assert 1 == done.returncode
    assert "Connection refused" in done.stderr
    assert "hunter2" not in done.stderr
    assert 1 == len(done.stderr.splitlines())


def test_it_serves_from_a_database_that_is_given(tmp_path: Path, database_url: str) -> None:
    with run_server(tmp_path / "data", ORDERLY_DATABASE_URL=database_url) as server:
        assert "ORDERLY_DATABASE_URL" in server.stdout.splitlines()[0]
        assert 201 == server.post("/api/v1/auth/register", ADA).status_code
        cookies = server.post("/api/v1/auth/login", LOGIN).headers.get_list("set-cookie")

    assert 2 == len(cookies)
    assert all("; secure" in cookie.lower() for cookie in cookies)
    assert not (tmp_path / "data" / "postgresql").exists()


def test_why_a_request_finds_no_database_is_told_in_a_line(
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

    told = [event for event in server.log if event["event"] == "service_unavailable"]
    assert ["list_products"] == [event["operation_id"] for event in told]
    assert "is not currently accepting connections" in told[0]["reason"]
    assert len(told[0]["reason"].splitlines()) == 1
    assert "exception" not in told[0]


def test_the_embedded_database_has_a_connection_for_every_thread(data_dir: Path) -> None:
    with run_server(data_dir, "--workers", "2", ORDERLY_THREADS="250"):
        url = running_url(data_dir)
        assert url is not None
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW max_connections")

            # A worker that is replaced and the one in its place hold theirs at the same time.
            assert 3 * 251 < int(cursor.fetchone()[0])


def test_the_demo_can_be_signed_in_to_as_it_says(data_dir: Path) -> None:
    with run_server(data_dir, "--demo") as server:
        sign_ins = [line.split("  ")[-2:] for line in server.stdout.splitlines()[3:5]]
        assert [[account.email, account.password] for account in ACCOUNTS] == [
            [email.strip(), password] for email, password in sign_ins
        ]
        for email, password in sign_ins:
            credentials = {"email": email.strip(), "password": password}
            assert 200 == server.post("/api/v1/auth/login", credentials).status_code
        assert server.get("/api/v1/products").json()["items"]


@pytest.mark.parametrize(
    ("option", "variables"),
    [
        ("0.0.0.0", {}),
        ("127.0.0.1", {"ORDERLY_DATABASE_URL": "postgresql://127.0.0.1:1/shop"}),
    ],
)
def test_no_demo_where_others_could_sign_in_to_it(
    tmp_path: Path, option: str, variables: dict[str, str]
) -> None:
    done = run_orderly(
        "serve", "--demo", "--host", option, "--port", "0", directory=tmp_path, **variables
    )

    assert 2 == done.returncode
    assert "--demo is for" in done.stderr


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
        done = run_orderly(*arguments, directory=data_dir, ORDERLY_CURRENCY="JPY")

        assert (2, "") == (done.returncode, done.stdout)
        assert "ORDERLY_CURRENCY: orders have been placed in EUR" in done.stderr
    with run_server(data_dir, "--demo") as server:
        assert 200 == server.get("/api/v1/products").status_code


def test_settings_that_are_wrong_are_all_told_before_anything_starts(tmp_path: Path) -> None:
    done = run_orderly(
        "serve",
        "--data-dir",
        "data",
        directory=tmp_path,
        ORDERLY_PORT="http",
        ORDERLY_SIGNING_KEY="hunter2",
        ORDERLY_PROT="8000",
    )

    assert 2 == done.returncode
    assert [
        "orderly: ORDERLY_PORT: Not a valid integer.",
        "orderly: ORDERLY_SIGNING_KEY: Shorter than 32 bytes.",
        "orderly: ORDERLY_PROT: There is no such setting; did you mean ORDERLY_PORT?",
    ] == done.stderr.splitlines()
    assert [] == list(tmp_path.iterdir())


def test_an_embedded_database_that_dies_is_started_again(data_dir: Path) -> None:
    with run_server(data_dir) as server:
        assert 201 == server.post("/api/v1/auth/register", ADA).status_code

        server.kill_postgresql(data_dir)

        assert 200 == server.post("/api/v1/auth/login", LOGIN).status_code
        assert "embedded_database_died" in [one["event"] for one in server.log]
        assert 0 == server.stop()


def test_ready_again_it_serves_those_who_are_signed_in(data_dir: Path) -> None:
    """Which sessions have ended must be learned anew when the database was away for long."""
    with (
        run_server(data_dir, "--demo") as server,
        demo_client(server) as client,
        closing(connect(data_dir)) as connection,
    ):
        session = connection.info.backend_pid
        os.kill(session, signal.SIGSTOP)  # no server starts before the sessions of the last end
        release = threading.Timer(FRESH_SECONDS + 0.5, os.kill, [session, signal.SIGCONT])
        release.start()

        server.kill_postgresql(data_dir)

        release.join()
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
    assert ["worker_replaced"] == [
        event["event"] for event in server.log if event["event"] != "request"
    ]


def test_on_sighup_workers_are_replaced_and_no_request_fails(data_dir: Path) -> None:
    with run_server(data_dir, "--workers", "2") as server:
        before = server.worker_pids()
        server.send_signal(signal.SIGHUP)

        answered = 0
        while server.worker_pids() & before or len(server.worker_pids()) != 2:
            assert 200 == server.get("/health/ready").status_code
            answered += 1
        assert answered > 2
        assert 0 == server.stop()


def test_who_keeps_a_connection_is_told_of_its_end_when_workers_are_replaced(
    data_dir: Path,
) -> None:
    with (
        run_server(data_dir, "--workers", "2") as server,
        closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection,
    ):
        before = server.worker_pids()
        server.send_signal(signal.SIGHUP)

        # Told so, it connects anew; were it not, its next request would fail.
        ends = 0
        while server.worker_pids() & before or len(server.worker_pids()) != 2:
            connection.request("GET", "/health/live")
            answer = connection.getresponse()
            assert answer.read()
            ends += answer.will_close
            time.sleep(0.1)
        assert ends > 0


def test_it_can_be_stopped_while_workers_are_replaced(data_dir: Path) -> None:
    with run_server(data_dir, "--workers", "2") as server:
        before = server.worker_pids()
        server.send_signal(signal.SIGHUP)
        wait_until(lambda: server.worker_pids() - before)
        server.send_signal(signal.SIGTERM)

        started: set[int] = set()
        while server.process.poll() is None:
            with suppress(OSError):  # it has just ended
                started |= server.worker_pids() - before
            time.sleep(0.02)
        assert 0 == server.wait()
    assert 1 == len(started)


def test_a_process_that_has_no_workers_goes_on_after_sighup(data_dir: Path) -> None:
    with run_server(data_dir) as server:
        server.send_signal(signal.SIGHUP)

        assert 200 == server.get("/health/ready").status_code
        assert 0 == server.stop()


@pytest.mark.parametrize("workers", [1, 2])
def test_it_stops_cleanly_when_its_terminal_is_closed(data_dir: Path, workers: int) -> None:
    ours, theirs = pty.openpty()
    with run_server(data_dir, "--workers", str(workers), terminal=theirs) as server:
        os.close(theirs)
        assert 200 == server.get("/health/ready").status_code
        os.close(ours)

        assert 0 == server.wait()
    assert not (data_dir / "postgresql" / "postmaster.pid").exists()


@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.5, 0.7])
def test_it_can_be_stopped_while_it_starts(data_dir: Path, seconds: float) -> None:
    server = Server.start(data_dir)
    time.sleep(seconds)
    server.send_signal(signal.SIGTERM)

    assert server.wait() in {0, 130, -signal.SIGTERM}
    assert "Traceback" not in server.stderr
    with run_server(data_dir) as server:
        assert 200 == server.get("/health/ready").status_code


# -- what the tests are made of


class HalfSent:
    """A registration of which the server has had all but the last bytes."""

    def __init__(self, connection: socket.socket) -> None:
        body = httpx2.Request("POST", "http://shop", json=ADA).read()
        head = (
            "POST /api/v1/auth/register HTTP/1.1\r\nHost: shop\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._connection = connection
        self._rest = body[-5:]
        connection.sendall(head.encode() + body[:-5])

    def send_rest(self) -> None:
        self._connection.sendall(self._rest)

    def answer(self) -> bytes:
        """Return all that comes until the server closes the connection."""
        parts = []
        while part := self._connection.recv(65536):
            parts.append(part)
        return b"".join(parts)


@contextmanager
def half_sent(server: Server) -> Iterator[HalfSent]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        request = HalfSent(connection)
        # An answer on another connection of the same process means that ours was read, too; with
        # two of them, ten answers make it as good as certain.
        for _ in range(10):
            server.get("/health/live")
        yield request


def refuses_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return True
    return False
