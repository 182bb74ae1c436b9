"""Values that parsers of headers, cookies and query strings may raise an error for: never a 500."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import httpx2
import pytest

from tests.support.accounts import PASSWORD
from tests.support.processes import Server, run_server
from tests.support.settings import NO_RATE_LIMIT_VARIABLES, SIGNING_KEY

# URLs, addresses, numbers, lists, encodings and quoting that are broken in different ways.
VALUES = [
    b"",
    b" ",
    b"http://[",
    b"http://[::1",
    b"http://a:99999999999999999999",
    b"http://\xe2\x84\x80",
    b"//[",
    b"[",
    b"[::1]:x",
    b"::ffff:999.1.1.1",
    b"fe80::1%%",
    b"1.2.3.4, ",
    b",,,;;;===",
    b'for="[::1";proto=',
    b"-1",
    b"+1",
    b"1_0",
    b"\xb2",
    b"9" * 5000,
    b"1e999",
    b"NaN",
    b'"',
    b'W/"',
    b'"1", W/',
    b'"' + b"9" * 5000 + b'"',
    b"\xff\xfe",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\xa0\x85",
    b"%",
    b"%00",
    b"%ed%a0%80",
    b"%ff",
    b"=?utf-8?b?_?=",
    b"q=" + b"9" * 400,
    b"*/*;q=x, text/html;level=",
    b"application/json; charset=\xff",
    b'application/json; charset="',
    b"application/json;;;=",
    b"text/csv; charset=utf-16",
    b"Bearer",
    b"Bearer ",
    b"Bearer a.b.c",
    b"Bearer eyJhbGciOiJub25lIn0.e30.",
    b"Bearer \xff.\xff.\xff",
    b"Basic \xff",
    b"orderly_access",
    b"orderly_access=; orderly_refresh=",
    b'orderly_access="\\777"; orderly_refresh="\\777"',
    b"orderly_access=\xff; orderly_refresh=\xff",
    b"orderly_refresh=\xed\xa0\x80; =; ;;",
    b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-ff",
    b"00-\xff-\xff-zz",
    b"(" * 3000,
    b"x" * 20_000,
]

# `cookie` and `origin` are sent with a session's cookies; the others are sent anonymously too.
HEADERS = [
    b"Accept",
    b"Accept-Encoding",
    b"Accept-Language",
    b"Access-Control-Request-Headers",
    b"Access-Control-Request-Method",
    b"Authorization",
    b"Connection",
    b"Content-Length",
    b"Content-Type",
    b"Cookie",
    b"Expect",
    b"Forwarded",
    b"Host",
    b"Idempotency-Key",
    b"If-Match",
    b"If-Modified-Since",
    b"If-None-Match",
    b"If-Range",
    b"Origin",
    b"Prefer",
    b"Range",
    b"Referer",
    b"Sec-Fetch-Site",
    b"TE",
    b"Traceparent",
    b"Tracestate",
    b"Transfer-Encoding",
    b"Upgrade",
    b"User-Agent",
    b"X-Forwarded-For",
    b"X-Forwarded-Host",
    b"X-Forwarded-Port",
    b"X-Forwarded-Proto",
    b"X-Request-ID",
]

# A write by cookie, a write by any credential, an anonymous write, a list, a conditional read, a
# page and the readiness check.
REQUESTS = [
    (b"POST", b"/api/v1/auth/refresh"),
    (b"POST", b"/api/v1/auth/logout"),
    (b"POST", b"/api/v1/auth/login"),
    (b"POST", b"/api/v1/orders"),
    (b"PATCH", b"/api/v1/users/me"),
    (b"GET", b"/api/v1/products"),
    (b"GET", b"/openapi.json"),
    (b"GET", b"/health/ready"),
    (b"OPTIONS", b"/api/v1/products"),
]


@pytest.fixture(scope="module")
def server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server behind a trusted proxy, with CORS, so that it reads all these headers."""
    with run_server(
        tmp_path_factory.mktemp("hostile") / "data",
        ORDERLY_DATABASE_URL=database_url,
        ORDERLY_SIGNING_KEY=SIGNING_KEY,
        ORDERLY_COOKIE_SECURE="false",
        ORDERLY_TRUSTED_PROXIES="127.0.0.1",
        ORDERLY_CORS_ORIGINS="https://shop.example.com",
        **NO_RATE_LIMIT_VARIABLES,
    ) as server:
        yield server


@pytest.fixture
def session_cookies(server: Server) -> bytes:
    """Return the cookies of a signed-in user. Their sessions may end: the user signs in again."""
    ada = {"email": "ada@example.com", "password": PASSWORD}
    server.post("/api/v1/auth/register", ada | {"name": "Ada"})
    response = server.post("/api/v1/auth/login", ada)
    return "; ".join(f"{name}={value}" for name, value in response.cookies.items()).encode()


@pytest.mark.parametrize("name", HEADERS, ids=bytes.decode)
def test_no_header_value_causes_a_500(server: Server, session_cookies: bytes, name: bytes) -> None:
    for method, path in REQUESTS:
        for value in VALUES:
            headers = {b"Host": b"localhost", b"Cookie": session_cookies, name: value}
            if method in {b"POST", b"PATCH"}:
                headers = {b"Content-Type": b"application/json", b"Content-Length": b"2", **headers}
            head = b"".join(b"%b: %b\r\n" % header for header in headers.items())

            status = send(server, b"%b %b HTTP/1.1\r\n%b\r\n{}" % (method, path, head))

            # None: the server waits for the rest of a body that this header announces.
            assert status is None or status < 500, (method, path, name, value)
    assert_no_unexpected_errors(server)


@pytest.mark.parametrize("name", HEADERS, ids=bytes.decode)
def test_no_long_header_value_stalls_the_server(server: Server, name: bytes) -> None:
    """A parser that takes quadratic time would take more seconds than the client waits."""
    for repeated in (rb"\a", rb"\101", b" ", b"\t ", b",", b";", b"=", b'"', b"a.", b"W/", b"%41"):
        value = b'x="' + repeated * (100_000 // len(repeated)) + b'"'
        for path in (b"/api/v1/users/me", b"/api/v1/products", b"/docs"):
            head = b"Host: localhost\r\n%b: %b\r\n" % (name, value)

            status = send(server, b"GET %b HTTP/1.1\r\n%b\r\n" % (path, head), timeout=5)

            assert status is not None, (name, repeated, path)
            assert status < 500, (name, repeated, path)
    assert_no_unexpected_errors(server)


@pytest.mark.parametrize("name", ["cursor", "limit", "q", "sort", "min_price", "in_stock", "[", ""])
def test_no_query_value_causes_a_500(server: Server, name: str) -> None:
    for value in (*VALUES, *(quote(value).encode() for value in VALUES)):
        query = quote(name).encode() + b"=" + value.replace(b" ", b"+")

        status = send(
            server, b"GET /api/v1/products?%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % query
        )

        assert status is not None, query
        assert status < 500, query
    assert_no_unexpected_errors(server)


def send(server: Server, request: bytes, timeout: float = 0.3) -> int | None:
    """Send a request on a new connection; return the status, or None without a response."""
    url = urlsplit(server.url)
    with socket.create_connection((url.hostname, url.port), timeout=timeout) as connection:
        connection.sendall(request)
        try:
            status_line = connection.recv(4096)
        except TimeoutError:
            return None
    return int(status_line.split(b" ")[1]) if status_line else None


def assert_no_unexpected_errors(server: Server) -> None:
    """Assert that no request failed, not even after its response had begun."""
    assert httpx2.get(f"{server.url}/health/live").status_code == 200
    assert not [line for line in server.stderr.splitlines() if "Traceback" in line]
    assert not [record for record in server.log if record["event"] == "unexpected_error"]
