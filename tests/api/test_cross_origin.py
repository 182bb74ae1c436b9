"""What pages of other web sites may do, and what the cookies are called where HTTPS is on."""

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

OURS = "https://shop.example.com"
THEIRS = "https://evil.example"
PRODUCTS = "/api/v1/products"
ME = "/api/v1/users/me"


@pytest.fixture(scope="module")
def url(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server with secure cookies that one other origin may call."""
    with run_server(
        tmp_path_factory.mktemp("cross") / "data",
        ORDERLY_DATABASE_URL=database_url,
        ORDERLY_SIGNING_KEY=SIGNING_KEY,
        ORDERLY_CORS_ORIGINS=f"{OURS}, http://localhost:3000",
        ORDERLY_VALIDATE_RESPONSES="true",
        **NO_RATE_LIMIT_VARIABLES,
    ) as server:
        yield server.url


@pytest.fixture
def client(url: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=url) as client:
        yield client


@pytest.fixture
def jar(client: httpx2.Client) -> dict[str, str]:
    """Return the Cookie header of somebody who has signed in over HTTPS."""
    ada = {"email": "ada@example.com", "password": PASSWORD}
    client.post("/api/v1/auth/register", json=ada | {"name": "Ada"})
    answer = client.post("/api/v1/auth/login", json=ada)
    pairs = [one.partition(";")[0] for one in answer.headers.get_list("set-cookie")]
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


def test_an_origin_of_ours_may_ask_with_credentials(client: httpx2.Client) -> None:
    asked = preflight(client, OURS)

    assert 200 == asked.status_code
    assert OURS == asked.headers["access-control-allow-origin"]
    assert "true" == asked.headers["access-control-allow-credentials"]
    assert "PATCH" in asked.headers["access-control-allow-methods"]
    assert "x-request-id" in asked.headers

    answer = client.get(PRODUCTS, headers={"Origin": OURS})
    assert OURS == answer.headers["access-control-allow-origin"]
    assert "Origin" in answer.headers["vary"]
    assert "ETag" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    "origin", [THEIRS, "null", OURS + ".evil.example", "http://shop.example.com", OURS.upper()]
)
def test_any_other_origin_may_not(client: httpx2.Client, origin: str) -> None:
    assert "access-control-allow-origin" not in preflight(client, origin).headers
    answer = client.get(PRODUCTS, headers={"Origin": origin})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", ME, 401, "unauthenticated"),
        ("GET", "/api/v1/nowhere", 404, "not_found"),
        ("DELETE", ME, 405, "method_not_allowed"),
        ("POST", "/api/v1/auth/login", 415, "unsupported_media_type"),
        ("GET", f"{PRODUCTS}?limit=0", 400, "malformed_request"),
    ],
)
def test_problems_are_theirs_to_read_as_well(
    client: httpx2.Client, method: str, path: str, status: int, code: str
) -> None:
    content = b"x" if method == "POST" else None
    answer = client.request(method, path, content=content, headers={"Origin": OURS})

    assert_problem(answer, status, code)
    assert OURS == answer.headers["access-control-allow-origin"]


def test_without_origins_there_is_no_cors(anonymous: Client) -> None:
    assert 405 == preflight(anonymous, OURS).status_code
    answer = anonymous.get(PRODUCTS, headers={"Origin": OURS})
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(("origin", "status"), [(OURS, 200), (THEIRS, 403), (None, 403)])
def test_only_our_origins_may_change_something_across_sites(
    client: httpx2.Client, jar: dict[str, str], origin: str | None, status: int
) -> None:
    headers = {"sec-fetch-site": "cross-site", **jar, **({"origin": origin} if origin else {})}

    assert status == client.patch(ME, json={"name": "Eve"}, headers=headers).status_code


def test_over_https_the_names_of_the_cookies_keep_strangers_from_planting_them(
    client: httpx2.Client, jar: dict[str, str]
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
    assert 200 == client.get(ME, headers=jar).status_code
    refreshed = client.post("/api/v1/auth/refresh", headers=jar)
    assert 200 == refreshed.status_code
    louder = {**jar, "Authorization": "Bearer nonsense"}
    assert_problem(client.get(ME, headers=louder), 401, "invalid_token")
    plain = {"Cookie": jar["Cookie"].replace("__Host-", "").replace("__Secure-", "")}
    assert_problem(client.get(ME, headers=plain), 401, "unauthenticated")
    cleared = client.post("/api/v1/auth/logout", headers=jar).headers.get_list("set-cookie")
    assert ["__Host-orderly_access=", "__Secure-orderly_refresh="] == [
        one.partition(";")[0] for one in cleared
    ]


def test_the_published_document_names_the_cookies_as_they_are(
    client: httpx2.Client, anonymous: Client
) -> None:
    def names(document: dict[str, dict[str, dict[str, dict[str, str]]]]) -> set[str | None]:
        return {one.get("name") for one in document["components"]["securitySchemes"].values()}

    assert {"__Host-orderly_access", "__Secure-orderly_refresh", None} == names(
        client.get("/openapi.json").json()
    )
    assert {"orderly_access", "orderly_refresh", None} == names(
        anonymous.get("/openapi.json").json()
    )


def test_a_page_of_ours_may_read_every_header_that_the_contract_describes(
    client: httpx2.Client,
) -> None:
    answer = client.get(PRODUCTS, headers={"Origin": OURS})

    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    described = {
        header
        for _, operation in operations()
        for response in operation["responses"].values()
        for header in response.get("headers", {})
    }
    # No script may read the one; the other is told in words, of answers outside all operations.
    assert (described - {"Set-Cookie"}) | {"Allow"} <= set(exposed)
