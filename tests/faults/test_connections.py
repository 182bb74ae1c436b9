"""Clients that open connections and then send or read nothing, or do so very slowly."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import repeat
from pathlib import Path

import httpx2
import pytest

from services.demo import ACCOUNTS
from tests.support.problems import assert_problem
from tests.support.processes import Server, run_orderly, run_server

LIMITS = {"ORDERLY_REQUEST_HEAD_SECONDS": "2", "ORDERLY_TRANSFER_SECONDS": "2"}
# The limits, the second between two checks, and time for a busy machine.
SOON = 8.0
REQUEST = b"GET /api/v1/products HTTP/1.1\r\nHost: shop\r\n\r\n"
LOGIN = (
    b"POST /api/v1/auth/login HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1000\r\n\r\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server with short time limits."""
    with run_server(tmp_path_factory.mktemp("server") / "data", "--demo", **LIMITS) as server:
        yield server


@contextmanager
def connect(server: Server) -> Iterator[socket.socket]:
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=60)) as client:
        yield client


def drip(client: socket.socket, start: bytes, byte: bytes) -> tuple[float, bytes]:
    """Send a start, then a byte at a time until the server closes the connection.

    Return the seconds that this took, and the response.
    """
    client.sendall(start)
    client.settimeout(0.2)
    began, response = time.monotonic(), b""
    for _ in range(300):
        with suppress(ConnectionError, TimeoutError):
            received = client.recv(4096)
            if not received:
                return time.monotonic() - began, response
            response += received
        with suppress(ConnectionError):
            client.sendall(byte)
    raise AssertionError("The server did not close the connection.")


def receive_response(client: socket.socket) -> bytes:
    """Receive a response with Content-Length."""
    response = b""
    while b"\r\n\r\n" not in response:
        response += client.recv(65536)
    head, _, body = response.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(65536)
    return head


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_connection_without_a_request_is_closed(tmp_path: Path, workers: str) -> None:
    with run_server(tmp_path / "data", "--workers", workers, **LIMITS) as server, ExitStack() as s:
        clients = [s.enter_context(connect(server)) for _ in range(8)]
        began = time.monotonic()

        assert [b""] * 8 == [client.recv(1) for client in clients]
        assert 1.0 < time.monotonic() - began < SOON


def test_a_head_that_arrives_slowly_is_408(server: Server) -> None:
    with connect(server) as client:
        seconds, response = drip(client, b"GET / HTTP/1.1\r\nHost: shop\r\nX: ", b"a")

    head, _, body = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    problem = json.loads(body)
    assert (408, "request_timeout") == (problem["status"], problem["code"])
    for field in (
        "connection: close",
        "content-type: application/problem+json",
        "x-content-type-options: nosniff",
        f"x-request-id: {problem['request_id']}",
    ):
        assert field.encode() in head.splitlines()
    assert 1.0 < seconds < SOON


def test_the_head_of_a_later_request_has_the_same_limit(server: Server) -> None:
    with connect(server) as client:
        client.sendall(REQUEST)
        receive_response(client)
        time.sleep(3)  # an idle connection may stay open for longer
        seconds, response = drip(client, b"GET / HTTP/1.1\r\nX: ", b"a")

    assert 1.0 < seconds < SOON
    assert response.startswith(b"HTTP/1.1 408 ")


def test_empty_lines_do_not_keep_a_connection_open(server: Server) -> None:
    with connect(server) as client:
        assert drip(client, b"\r\n", b"\r\n")[0] < SOON


def test_a_body_that_arrives_slowly_is_408(server: Server) -> None:
    with connect(server) as client:
        seconds, response = drip(client, LOGIN, b" ")

    assert response.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert 1.0 < seconds < SOON


def test_a_body_that_the_server_does_not_read_ends_too(server: Server) -> None:
    """The response to a request without permission does not wait for the body."""
    start = LOGIN.replace(b"/auth/login", b"/products/import").replace(b" 1000", b" 1000000")
    with connect(server) as client:
        seconds, response = drip(client, start, b" ")

    assert response.startswith(b"HTTP/1.1 401 ")
    assert 1 == response.count(b"HTTP/1.1 ")
    assert seconds < SOON


def test_an_upload_at_a_fair_rate_may_take_longer(server: Server) -> None:
    admin = {"email": ACCOUNTS[0].email, "password": ACCOUNTS[0].password}
    token = server.post("/api/v1/auth/token", admin).json()["access_token"]

    def lines() -> Iterator[bytes]:
        yield b"sku,name,price,description\n"
        for number in range(20):
            time.sleep(0.3)
            yield f"FAIR-{number},Fair,100,{'x' * 1900}\n".encode() + b"\r\n" * 1000

    response = httpx2.post(
        f"{server.url}/api/v1/products/import",
        params={"dry_run": "true"},
        content=lines(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "text/csv"},
        timeout=60,
    )

    assert 200 == response.status_code, response.text


def test_a_client_that_does_not_read_its_responses_is_disconnected(server: Server) -> None:
    with closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        client.settimeout(0.5)
        requests = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: shop\r\n\r\n" * 20
        began = time.monotonic()

        with pytest.raises(ConnectionError):  # noqa: PT012
            client.sendall(requests)
            while time.monotonic() - began < 2 * SOON:
                time.sleep(0.5)
                client.sendall(b"\r\n")


def test_a_client_that_sends_requests_continually_is_not_disconnected(server: Server) -> None:
    with connect(server) as client:
        began = time.monotonic()
        while time.monotonic() - began < SOON:
            client.sendall(REQUEST[:20])
            time.sleep(0.05)
            client.sendall(REQUEST[20:])
            assert receive_response(client).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("silent", [20, 200])
def test_health_checks_work_while_too_many_connections_are_open(
    tmp_path: Path, silent: int
) -> None:
    with (
        run_server(tmp_path / "data", ORDERLY_MAX_CONNECTIONS="10") as server,
        ExitStack() as stack,
    ):
        for _ in repeat(None, silent):
            stack.enter_context(connect(server))

        for path in ("/health/live", "/health/ready") * 3:
            assert 200 == server.get(path).status_code
        response = server.get("/api/v1/products")
        assert_problem(response, 503, "service_unavailable")
        assert "close" == response.headers["connection"]
        assert "1" == response.headers["retry-after"]
        assert 503 == server.get("/docs").status_code

        stack.close()
        time.sleep(0.5)
        assert 200 == server.get("/api/v1/products").status_code
        assert "too_many_connections" in [event["event"] for event in server.log]


def test_idle_connections_are_closed_to_make_room(tmp_path: Path) -> None:
    with (
        run_server(tmp_path / "data", ORDERLY_MAX_CONNECTIONS="10") as server,
        ExitStack() as stack,
    ):
        for _ in range(10):
            client = stack.enter_context(connect(server))
            client.sendall(REQUEST)
            receive_response(client)

        assert 200 == server.get("/api/v1/products").status_code


def test_more_connections_than_the_system_allows_are_an_error(tmp_path: Path) -> None:
    completed = run_orderly(
        *("mock", "--port", "0"), directory=tmp_path, ORDERLY_MAX_CONNECTIONS="1000000"
    )

    assert 2 == completed.returncode
    assert "ORDERLY_MAX_CONNECTIONS: Needs 1000" in completed.stderr
    assert 1 == len(completed.stderr.splitlines())
