"""CORS, cross-site requests, and the names of cookies over HTTPS."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from httpx2 import Client

from tests.support.accounts import PASSWORD
from tests.support.contract import operations
from tests.support.problems import assert_problem
from tests.support.processes import run_server
from tests.support.settings import NO_RATE_LIMIT_VARIABLES, SIGNING_KEY

ALLOWED_ORIGIN = "https://shop.example.com"
OTHER_ORIGIN = "https://evil.example"
PRODUCTS = "/api/v1/products"
ME = "/api/v1/users/me"


@pytest.fixture(scope="module")
def url(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a server with secure cookies and CORS; return its URL."""
    with run_server(
        tmp_path_factory.mktemp("cross") / "data",
        ORDERLY_DATABASE_URL=database_url,
        ORDERLY_SIGNING_KEY=SIGNING_KEY,
        ORDERLY_CORS_ORIGINS=f"{ALLOWED_ORIGIN}, http://localhost:*",
        ORDERLY_VALIDATE_RESPONSES="true",
        **NO_RATE_LIMIT_VARIABLES,
    ) as server:
        yield server.url


@pytest.fixture
def client(url: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=url) as client:
        yield client


@pytest.fixture
def cookie_header(client: httpx2.Client) -> dict[str, str]:
    """Return the Cookie header of a user who signed in over HTTPS."""
    ada = {"email": "ada@example.com", "password": PASSWORD}
    client.post("/api/v1/auth/register", json=ada | {"name": "Ada"})
    response = client.post("/api/v1/auth/login", json=ada)
    pairs = [cookie.partition(";")[0] for cookie in response.headers.get_list("set-cookie")]
    return {"Cookie": "; ".join(pairs)}


def preflight(client: httpx2.Client, origin: str) -> httpx2.Response:
    return client.options(
        f"{PRODUCTS}/x",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "content-type, if-match",
        },
    )


def test_an_allowed_origin_can_send_requests_with_credentials(client: httpx2.Client) -> None:
    preflight_response = preflight(client, ALLOWED_ORIGIN)

    assert 200 == preflight_response.status_code
    assert ALLOWED_ORIGIN == preflight_response.headers["access-control-allow-origin"]
    assert "true" == preflight_response.headers["access-control-allow-credentials"]
    assert "PATCH" in preflight_response.headers["access-control-allow-methods"]
    assert "x-request-id" in preflight_response.headers

    response = client.get(PRODUCTS, headers={"Origin": ALLOWED_ORIGIN})
    assert ALLOWED_ORIGIN == response.headers["access-control-allow-origin"]
    assert "Origin" in response.headers["vary"]
    assert "ETag" in response.headers["access-control-expose-headers"]


def test_an_allowed_origin_can_stand_for_all_ports(client: httpx2.Client) -> None:
    for origin in ("http://localhost:1", "http://localhost:5173", "http://localhost:65535"):
        assert origin == preflight(client, origin).headers["access-control-allow-origin"]


@pytest.mark.parametrize(
    "origin",
    [
        OTHER_ORIGIN,
        "http://localhost",
        "https://localhost:5173",
        "http://localhost:5173.evil.example",
        "http://localhost:",
        "http://localhost:*",
        "http://localhost.evil.example:5173",
        "null",
        ALLOWED_ORIGIN + ".evil.example",
        "http://shop.example.com",
        ALLOWED_ORIGIN.upper(),
    ],
)
def test_other_origins_get_no_cors_headers(client: httpx2.Client, origin: str) -> None:
    assert "access-control-allow-origin" not in preflight(client, origin).headers
    response = client.get(PRODUCTS, headers={"Origin": origin})
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", ME, 401, "unauthenticated"),
        ("GET", "/api/v1/nowhere", 404, "not_found"),
        ("PUT", ME, 405, "method_not_allowed"),
        ("POST", "/api/v1/auth/login", 415, "unsupported_media_type"),
        ("GET", f"{PRODUCTS}?limit=0", 400, "malformed_request"),
    ],
)
def test_error_responses_have_cors_headers_too(
    client: httpx2.Client, method: str, path: str, status: int, code: str
) -> None:
    content = b"x" if method == "POST" else None
    response = client.request(method, path, content=content, headers={"Origin": ALLOWED_ORIGIN})

    assert_problem(response, status, code)
    assert ALLOWED_ORIGIN == response.headers["access-control-allow-origin"]


def test_pages_of_all_origins_can_read_the_contract(
    client: httpx2.Client, anonymous: Client
) -> None:
    for path in ("/openapi.json", "/openapi.yaml"):
        response = anonymous.get(path, headers={"Origin": OTHER_ORIGIN})
        assert "*" == response.headers["access-control-allow-origin"]
        response = client.get(path, headers={"Origin": ALLOWED_ORIGIN})
        assert ALLOWED_ORIGIN == response.headers["access-control-allow-origin"]
    assert "access-control-allow-origin" not in anonymous.get("/docs").headers


def test_cors_is_off_without_allowed_origins(anonymous: Client) -> None:
    assert 405 == preflight(anonymous, ALLOWED_ORIGIN).status_code
    response = anonymous.get(PRODUCTS, headers={"Origin": ALLOWED_ORIGIN})
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("origin", "status"), [(ALLOWED_ORIGIN, 200), (OTHER_ORIGIN, 403), (None, 403)]
)
def test_only_an_allowed_origin_can_send_a_cross_site_write(
    client: httpx2.Client, cookie_header: dict[str, str], origin: str | None, status: int
) -> None:
    headers = {
        "sec-fetch-site": "cross-site",
        **cookie_header,
        **({"origin": origin} if origin else {}),
    }

    assert status == client.patch(ME, json={"name": "Eve"}, headers=headers).status_code


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("{own}", 200),
        (ALLOWED_ORIGIN, 200),
        ("http://blog.shop.example.com", 403),
        ("http://localhost:5173", 200),
        ("http://127.0.0.1:1", 403),  # another port of the same host
        ("null", 403),
        (None, 403),
    ],
)
def test_of_the_same_site_only_the_own_origin_and_allowed_origins_can_write(
    client: httpx2.Client, url: str, cookie_header: dict[str, str], origin: str | None, status: int
) -> None:
    headers = {
        "sec-fetch-site": "same-site",
        **cookie_header,
        **({"origin": origin.format(own=url)} if origin else {}),
    }

    response = client.patch(ME, json={"name": "Eve"}, headers=headers)

    assert status == response.status_code
    if status == 403:
        assert_problem(response, 403, "cross_site_request")


def test_a_page_of_the_same_site_cannot_send_a_write_without_a_body(admin: Client) -> None:
    product = {
        "sku": "MUG-1",
        "name": "Mug",
        "description": "",
        "price": {"amount": 900, "currency": "EUR"},
        "stock": 5,
    }
    path = admin.post(PRODUCTS, json=product).headers["location"]
    admin.delete(path)

    # No body and no special header, so browsers would send no preflight request.
    response = admin.post(
        f"{path}/restore", headers={"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:1"}
    )

    assert_problem(response, 403, "cross_site_request")


def test_an_unknown_relation_of_origins_is_refused(admin: Client) -> None:
    headers = {"sec-fetch-site": "same-party"}

    assert_problem(
        admin.patch(ME, json={"name": "Eve"}, headers=headers), 403, "cross_site_request"
    )


@pytest.mark.parametrize("path", [f"{PRODUCTS}/export", "/api/v1/orders/export"])
def test_a_link_on_another_site_cannot_download_an_export(admin: Client, path: str) -> None:
    cross_site = {"sec-fetch-site": "cross-site"}

    for site in ("cross-site", "same-site"):  # links on another website, on another subdomain
        response = admin.get(path, headers={"sec-fetch-site": site})
        assert_problem(response, 403, "cross_site_request")

    assert 200 == admin.get(path, headers={"sec-fetch-site": "same-origin"}).status_code
    assert 200 == admin.get(PRODUCTS, headers=cross_site).status_code
    bearer = {"Authorization": f"Bearer {admin.cookies['orderly_access']}"}
    assert 200 == admin.get(path, headers=cross_site | bearer).status_code


def test_over_https_cookie_name_prefixes_prevent_other_sites_from_setting_them(
    client: httpx2.Client, cookie_header: dict[str, str]
) -> None:
    ada = {"email": "ada@example.com", "password": PASSWORD}
    access, refresh = client.post("/api/v1/auth/login", json=ada).headers.get_list("set-cookie")

    assert access.startswith("__Host-orderly_access=")
    assert refresh.startswith("__Secure-orderly_refresh=")
    assert access.endswith("; HttpOnly; SameSite=Lax; Secure")
    assert refresh.endswith("; HttpOnly; SameSite=Lax; Secure")
    assert "; Path=/;" in access
    assert "; Path=/api/v1/auth;" in refresh
    assert "domain" not in (access + refresh).lower()
    assert 200 == client.get(ME, headers=cookie_header).status_code
    refreshed = client.post("/api/v1/auth/refresh", headers=cookie_header)
    assert 200 == refreshed.status_code
    with_bearer = {**cookie_header, "Authorization": "Bearer nonsense"}
    assert_problem(client.get(ME, headers=with_bearer), 401, "invalid_token")
    without_prefixes = {
        "Cookie": cookie_header["Cookie"].replace("__Host-", "").replace("__Secure-", "")
    }
    assert_problem(client.get(ME, headers=without_prefixes), 401, "unauthenticated")
    cleared = client.post("/api/v1/auth/logout", headers=cookie_header).headers.get_list(
        "set-cookie"
    )
    assert ["__Host-orderly_access=", "__Secure-orderly_refresh="] == [
        cookie.partition(";")[0] for cookie in cleared
    ]


def test_the_served_document_has_the_cookie_names_that_the_server_uses(
    client: httpx2.Client, anonymous: Client
) -> None:
    def names(document: dict[str, dict[str, dict[str, dict[str, str]]]]) -> set[str | None]:
        return {scheme.get("name") for scheme in document["components"]["securitySchemes"].values()}

    assert {"__Host-orderly_access", "__Secure-orderly_refresh", None} == names(
        client.get("/openapi.json").json()
    )
    assert {"orderly_access", "orderly_refresh", None} == names(
        anonymous.get("/openapi.json").json()
    )


def test_an_allowed_origin_can_read_every_documented_response_header(
    client: httpx2.Client,
) -> None:
    response = client.get(PRODUCTS, headers={"Origin": ALLOWED_ORIGIN})

    exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
    described = {
        header
        for _, operation in operations()
        for response in operation["responses"].values()
        for header in response.get("headers", {})
    }
    # Only browsers themselves use Set-Cookie and Clear-Site-Data. Allow belongs to 405 responses,
    # which no operation lists.
    assert (described - {"Set-Cookie", "Clear-Site-Data"}) | {"Allow"} <= set(exposed)
