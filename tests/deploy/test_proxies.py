"""A shop behind nginx and Caddy, with the example configurations."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from httpx2 import Client, HTTPTransport

from tests.deploy.conftest import PROXIES
from tests.support.processes import Server
from tests.support.proxies import HOST, Proxy, run_nginx
from tests.support.shop import PRODUCTS, add_product, get_stock, place_order

KIB = 1024
MIB = 1024 * KIB
IMPORT = "/api/v1/products/import"
CSV = {"Content-Type": "text/csv"}
ALL = pytest.mark.parametrize("name", PROXIES)


def assert_problem(response: httpx2.Response, status: int) -> dict[str, Any]:
    """Check that a response is a problem document with this status; return it."""
    assert status == response.status_code, response.text
    assert "application/problem+json" == response.headers["content-type"]
    problem: dict[str, Any] = response.json()
    assert status == problem["status"]
    return problem


def test_an_order_can_be_placed_over_https(admin: Client) -> None:
    product = add_product(admin)

    assert 201 == place_order(admin, (product, 2)).status_code

    assert 8 == get_stock(admin, product)
    cookies = [cookie.name for cookie in admin.cookies.jar]
    assert "__Host-orderly_access" in cookies
    assert all(cookie.secure for cookie in admin.cookies.jar)
    response = admin.get("/health/ready")
    assert "strict-transport-security" in response.headers
    assert response.http_version in {"HTTP/1.1", "HTTP/2"}


def test_plain_http_is_redirected(proxy: Proxy) -> None:
    response = httpx2.get(f"http://127.0.0.1:{proxy.http_port}/docs", headers={"Host": HOST})

    assert response.status_code in {301, 308}
    assert response.headers["location"].startswith(f"https://{HOST}")
    assert response.headers["location"].endswith("/docs")


def test_another_host_name_gets_no_certificate(proxy: Proxy) -> None:
    context = proxy.certificate.context()
    context.check_hostname = False
    with (
        socket.create_connection(("127.0.0.1", proxy.https_port)) as connection,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(connection, server_hostname="other.example.com")


def test_the_address_of_a_client_is_its_own_and_not_what_it_claims(
    proxy: Proxy, admin: Client
) -> None:
    transport = HTTPTransport(verify=proxy.certificate.context(), local_address="127.0.0.7")
    with Client(base_url=proxy.url, transport=transport) as other:
        response = other.post(
            "/api/v1/auth/login",
            json={"email": "nobody@example.com", "password": "wrong password"},
            headers={
                "X-Forwarded-For": "203.0.113.9",
                "X-Real-IP": "203.0.113.9",
                "Forwarded": "for=203.0.113.9",
                "X-Forwarded-Proto": "http",
            },
        )
    assert 401 == response.status_code

    query = {"type": "SIGN_IN_FAILED", "limit": 1}
    (event,) = admin.get("/api/v1/security-events", params=query).json()["items"]
    assert "127.0.0.7" == event["address"]


def test_a_large_body_is_refused(admin: Client) -> None:
    body = b'{"items": "' + b"x" * MIB + b'"}'

    response = admin.post(
        "/api/v1/orders", content=body, headers={"Content-Type": "application/json"}
    )

    assert_problem(response, 413)


def test_an_import_over_orderlys_limit_is_refused_by_orderly(admin: Client) -> None:
    response = admin.post(IMPORT, content=b"x" * (16 * MIB + 1), headers=CSV)

    assert "payload_too_large" == assert_problem(response, 413)["code"]


def test_nginx_does_not_pass_on_a_larger_import(server: Server, tmp_path: Path) -> None:
    with run_nginx(server.port, tmp_path) as proxy:
        response = httpx2.post(
            f"{proxy.url}{IMPORT}",
            content=b"x" * (17 * MIB + 1),
            headers=CSV,
            verify=proxy.certificate.context(),
        )

    assert "code" not in assert_problem(response, 413)  # Orderly's own has one


def test_an_import_and_an_export_of_many_megabytes_pass_through(
    admin: Client, proxy: Proxy
) -> None:
    text = "Stoneware; dishwasher safe. " * 35 + "Blue."  # 985 characters
    rows = [f"MUG-{number},Mug {number},{text},19.90,7" for number in range(12_000)]
    file = "\n".join(["sku,name,description,price,stock", *rows]).encode()
    assert len(file) > 11 * MIB

    response = admin.post(IMPORT, content=file, headers=CSV)
    assert 200 == response.status_code, response.text

    size, lines = 0, 0
    with admin.stream("GET", "/api/v1/products/export") as export:
        assert 200 == export.status_code
        for chunk in export.iter_raw():
            size += len(chunk)
            lines += chunk.count(b"\n")
    assert size > 11 * MIB
    assert len(rows) + 1 == lines
    # nginx's files for responses that a client has not read yet: none.
    assert [] == [path for path in proxy.directory.glob("temp/proxy/**/*") if path.is_file()]


@ALL
def test_while_the_server_is_down_clients_are_told_to_try_again(name: str, tmp_path: Path) -> None:
    with socket.socket() as bound:  # bound, but nobody listens
        bound.bind(("127.0.0.1", 0))
        with PROXIES[name](bound.getsockname()[1], tmp_path) as proxy:
            context = proxy.certificate.context()
            response = httpx2.get(f"{proxy.url}{PRODUCTS}", verify=context)

    assert_problem(response, 503)
    assert "5" == response.headers["retry-after"]


@ALL
def test_a_server_that_does_not_respond_is_given_up(name: str, tmp_path: Path) -> None:
    changes = {"nginx": {"proxy_read_timeout 30s": "proxy_read_timeout 1s"}}
    changes["caddy"] = {"import orderly 30s": "import orderly 1s"}
    with (
        silent_server() as port,
        PROXIES[name](port, tmp_path, changes[name]) as proxy,
    ):
        context = proxy.certificate.context()
        response = httpx2.get(f"{proxy.url}{PRODUCTS}", verify=context, timeout=60)

    assert_problem(response, 503)


@ALL
@pytest.mark.parametrize("part", ["head", "body"])
def test_a_client_that_stops_sending_is_disconnected(
    name: str, part: str, server: Server, tmp_path: Path
) -> None:
    changes = {
        "nginx": {
            "client_header_timeout 15s": "client_header_timeout 1s",
            "client_body_timeout 30s": "client_body_timeout 1s",
        },
        # Orderly limits the time for a body: see `server`.
        "caddy": {"read_header 15s": "read_header 1s", "read_body 15m": "read_body 20s"},
    }
    head = f"POST /api/v1/auth/login HTTP/1.1\r\nHost: {HOST}\r\n"
    body = "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    with (
        PROXIES[name](server.port, tmp_path, changes[name]) as proxy,
        socket.create_connection(("127.0.0.1", proxy.https_port), timeout=60) as connection,
        proxy.certificate.context().wrap_socket(connection, server_hostname=HOST) as client,
    ):
        client.sendall((head + (body if part == "body" else "")).encode())
        received = b""
        while chunk := client.recv(4096):
            received += chunk

    assert b" 200 " not in received


@contextmanager
def silent_server() -> Iterator[int]:
    """Run a server that accepts connections and never responds; yield its port."""
    accepted = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    accepted.append(listening.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in accepted:
                connection.close()
