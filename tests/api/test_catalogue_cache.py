"""The cache of list_products and get_product, over HTTP.

The server of these tests uses its responses for a minute, so what it returns within a test is from
the cache unless something has emptied it.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from httpx2 import Client

from tests.support.accounts import ADMIN
from tests.support.concurrency import run_concurrently
from tests.support.processes import Server, run_server
from tests.support.settings import NO_RATE_LIMIT_VARIABLES, SIGNING_KEY
from tests.support.shop import PRODUCTS, add_product

NO_CACHE = {"Cache-Control": "no-cache"}
Sql = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def server(runtime_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server that caches the catalogue for a minute."""
    with _run(runtime_url, tmp_path_factory.mktemp("cache"), seconds=60) as running:
        yield running


def _run(url: str, directory: Path, *, seconds: int) -> Any:
    return run_server(
        directory / "data",
        ORDERLY_DATABASE_URL=url,
        ORDERLY_SIGNING_KEY=SIGNING_KEY,
        ORDERLY_COOKIE_SECURE="false",
        ORDERLY_VALIDATE_RESPONSES="true",
        ORDERLY_WORKER="false",
        ORDERLY_CATALOGUE_CACHE_SECONDS=str(seconds),
        **NO_RATE_LIMIT_VARIABLES,
    )


@pytest.fixture
def visitor(server: Server) -> Iterator[Client]:
    """Return a client that is not signed in, and accepts only bodies without compression."""
    with Client(base_url=server.url, headers={"Accept-Encoding": "identity"}) as client:
        yield client


@pytest.fixture
def owner(server: Server, admin: Client) -> Iterator[Client]:
    """Return an administrator of the server with the cache."""
    del admin  # creates the account
    email, password = ADMIN
    with Client(base_url=server.url) as client:
        response = client.post("/api/v1/auth/login", json={"email": email, "password": password})
        assert 200 == response.status_code, response.text
        yield client


@pytest.fixture
def product(owner: Client) -> dict[str, Any]:
    """Create a product, which empties the cache of earlier tests."""
    return add_product(owner, sku="CACHED-1", name="Cached", stock=5)


def set_stock(sql: Sql, product: dict[str, Any], quantity: int) -> None:
    """Change the stock in the database, as another server process does when it takes an order."""
    sql("UPDATE stock SET quantity = %s WHERE product_id = %s", quantity, product["id"])


@pytest.mark.parametrize(
    "query",
    ["", "?limit=1", "?q=cached", "?sort=-price&limit=2", "?in_stock=true&min_price=1&limit=50"],
)
def test_a_cached_page_equals_the_page_of_the_source(
    visitor: Client, owner: Client, product: dict[str, Any], query: str
) -> None:
    del product
    for number in range(3):
        add_product(owner, sku=f"OTHER-{number}", stock=number)
    source = owner.get(f"{PRODUCTS}{query}")

    visitor.get(f"{PRODUCTS}{query}")
    cached = visitor.get(f"{PRODUCTS}{query}")

    assert (source.status_code, source.content) == (cached.status_code, cached.content)
    for name in ("content-type", "etag", "link"):
        assert source.headers.get(name) == cached.headers.get(name)
    assert "age" in cached.headers
    assert "age" not in source.headers


def test_a_cached_response_says_how_long_others_may_use_it(
    visitor: Client, product: dict[str, Any]
) -> None:
    response = visitor.get(f"{PRODUCTS}/{product['id']}")

    expected = "public, max-age=60, stale-while-revalidate=60"
    assert expected == response.headers["cache-control"]
    assert "0" == response.headers["age"]
    assert "Authorization, Cookie, Accept-Encoding" == response.headers["vary"]


def test_stock_that_another_process_changes_appears_later(
    visitor: Client, product: dict[str, Any], sql: Sql
) -> None:
    path = f"{PRODUCTS}/{product['id']}"
    assert 5 == visitor.get(path).json()["stock"]

    set_stock(sql, product, 3)

    assert 5 == visitor.get(path).json()["stock"]
    assert 3 == visitor.get(path, headers=NO_CACHE).json()["stock"]
    assert 3 == visitor.get(path).json()["stock"]


def test_a_response_is_used_only_for_the_time_of_the_setting(
    runtime_url: str, tmp_path: Path, product: dict[str, Any], sql: Sql
) -> None:
    path = f"{PRODUCTS}/{product['id']}"
    with (
        _run(runtime_url, tmp_path, seconds=1) as running,
        Client(base_url=running.url) as visitor,
    ):
        assert 5 == visitor.get(path).json()["stock"]
        set_stock(sql, product, 3)

        while visitor.get(path).json()["stock"] == 5:
            pass

        assert 3 == visitor.get(path).json()["stock"]


def test_without_a_cache_responses_must_be_revalidated(
    runtime_url: str, tmp_path: Path, product: dict[str, Any], sql: Sql
) -> None:
    path = f"{PRODUCTS}/{product['id']}"
    with (
        _run(runtime_url, tmp_path, seconds=0) as running,
        Client(base_url=running.url) as visitor,
    ):
        response = visitor.get(path)
        set_stock(sql, product, 3)

        assert "public, no-cache" == response.headers["cache-control"]
        assert "age" not in response.headers
        assert 3 == visitor.get(path).json()["stock"]


@pytest.mark.parametrize("directive", ["no-cache", "No-Cache", "max-age=0", "no-store"])
def test_a_request_can_ask_the_source(
    visitor: Client, product: dict[str, Any], sql: Sql, directive: str
) -> None:
    path = f"{PRODUCTS}/{product['id']}"
    visitor.get(path)
    set_stock(sql, product, 2)

    assert 2 == visitor.get(path, headers={"Cache-Control": directive}).json()["stock"]


def test_signed_in_users_read_the_source(
    visitor: Client, owner: Client, product: dict[str, Any], sql: Sql
) -> None:
    path = f"{PRODUCTS}/{product['id']}"
    visitor.get(path)
    credentials = {"email": ADMIN[0], "password": ADMIN[1]}
    token = visitor.post("/api/v1/auth/token", json=credentials).json()["access_token"]
    set_stock(sql, product, 1)

    assert 1 == owner.get(path).json()["stock"]
    bearer = visitor.get(path, headers={"Authorization": f"Bearer {token}"})
    assert (1, "public, no-cache") == (bearer.json()["stock"], bearer.headers["cache-control"])


def test_other_cookies_do_not_matter(visitor: Client, product: dict[str, Any]) -> None:
    path = f"{PRODUCTS}/{product['id']}"
    visitor.get(path)

    assert "age" in visitor.get(path, headers={"Cookie": "visitor=42"}).headers


def _update(owner: Client, product: dict[str, Any]) -> Any:
    return owner.patch(f"{PRODUCTS}/{product['id']}", json={"name": "Renamed"})


def _adjust(owner: Client, product: dict[str, Any]) -> Any:
    body = {"delta": 4, "reason": "CORRECTION"}
    return owner.post(f"{PRODUCTS}/{product['id']}/stock-adjustments", json=body)


def _import(owner: Client, product: dict[str, Any]) -> Any:
    text = f"sku,name,price,stock\n{product['sku']},Imported,19.90,8\n"
    headers = {"Content-Type": "text/csv"}
    return owner.post(f"{PRODUCTS}/import", content=text.encode(), headers=headers)


@pytest.mark.parametrize("write", [_update, _adjust, _import])
def test_a_change_by_an_administrator_appears_at_once(
    visitor: Client,
    owner: Client,
    product: dict[str, Any],
    write: Callable[[Client, dict[str, Any]], Any],
) -> None:
    path = f"{PRODUCTS}/{product['id']}"
    before = visitor.get(path).json()
    visitor.get(PRODUCTS)

    response = write(owner, product)

    assert response.status_code in {200, 201}, response.text
    after = visitor.get(path).json()
    assert before != after
    assert [after] == visitor.get(PRODUCTS).json()["items"]


def test_a_refused_request_does_not_empty_the_cache(
    visitor: Client, product: dict[str, Any], sql: Sql
) -> None:
    path = f"{PRODUCTS}/{product['id']}"
    visitor.get(path)
    set_stock(sql, product, 1)

    assert 401 == visitor.post(PRODUCTS, json={}).status_code
    assert 401 == visitor.delete(path).status_code

    assert 5 == visitor.get(path).json()["stock"]


def test_an_archived_product_disappears_at_once_and_returns_when_it_is_restored(
    visitor: Client, owner: Client, product: dict[str, Any]
) -> None:
    path = f"{PRODUCTS}/{product['id']}"
    visitor.get(path)
    visitor.get(PRODUCTS)

    assert 204 == owner.delete(path).status_code

    assert 404 == visitor.get(path).status_code
    assert [] == visitor.get(PRODUCTS).json()["items"]
    assert 200 == owner.post(f"{path}/restore").status_code
    assert 200 == visitor.get(path).status_code
    assert 1 == len(visitor.get(PRODUCTS).json()["items"])


def test_conditional_requests_are_answered_from_the_cache(
    visitor: Client, product: dict[str, Any], sql: Sql
) -> None:
    path = f"{PRODUCTS}/{product['id']}"
    etag = visitor.get(path).headers["etag"]
    set_stock(sql, product, 1)

    for condition in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        response = visitor.get(path, headers={"If-None-Match": condition})
        assert (304, b"", etag) == (
            response.status_code,
            response.content,
            response.headers["etag"],
        )
        assert "age" in response.headers
    assert 200 == visitor.get(path, headers={"If-None-Match": '"other"'}).status_code


def test_a_conditional_request_that_is_the_first_one_fills_the_cache(
    visitor: Client, owner: Client, product: dict[str, Any]
) -> None:
    path = f"{PRODUCTS}/{product['id']}"
    etag = owner.get(path).headers["etag"]

    assert 304 == visitor.get(path, headers={"If-None-Match": etag}).status_code
    response = visitor.get(path)
    assert (200, product["sku"]) == (response.status_code, response.json()["sku"])


def test_the_order_of_the_parameters_does_not_matter(
    visitor: Client, product: dict[str, Any], sql: Sql
) -> None:
    visitor.get(f"{PRODUCTS}?limit=5&sort=name")
    set_stock(sql, product, 1)

    assert 5 == visitor.get(f"{PRODUCTS}?sort=name&limit=5").json()["items"][0]["stock"]


@pytest.mark.parametrize("query", ["?limit=0", "?limit=1&limit=2", "?unknown=1"])
def test_invalid_requests_are_refused_each_time(visitor: Client, query: str) -> None:
    for _ in range(2):
        assert 400 == visitor.get(f"{PRODUCTS}{query}").status_code


def test_long_pages_are_compressed(visitor: Client, owner: Client, product: dict[str, Any]) -> None:
    del product
    for number in range(10):
        add_product(owner, sku=f"LONG-{number}")
    plain = visitor.get(PRODUCTS)
    headers = {"Accept-Encoding": "br, gzip"}

    with visitor.stream("GET", PRODUCTS, headers=headers) as response:
        raw = b"".join(response.iter_raw())

    assert "gzip" == response.headers["content-encoding"]
    assert str(len(raw)) == response.headers["content-length"]
    assert plain.content == gzip.decompress(raw)
    assert plain.headers["etag"] != response.headers["etag"]
    condition = {**headers, "If-None-Match": response.headers["etag"]}
    assert 304 == visitor.get(PRODUCTS, headers=condition).status_code
    refused = {"Accept-Encoding": "gzip;q=0"}
    assert "content-encoding" not in visitor.get(PRODUCTS, headers=refused).headers


def test_the_tag_of_a_compressed_product_can_be_used_to_change_it(
    visitor: Client, owner: Client
) -> None:
    product = add_product(owner, sku="LONG", description="long " * 400)
    path = f"{PRODUCTS}/{product['id']}"
    etag = visitor.get(path, headers={"Accept-Encoding": "gzip"}).headers["etag"]
    assert etag.endswith('-gzip"')

    changed = owner.patch(path, json={"name": "Renamed"}, headers={"If-Match": etag})
    assert 200 == changed.status_code
    again = owner.patch(path, json={"name": "Again"}, headers={"If-Match": etag})
    assert 412 == again.status_code


def test_concurrent_requests_for_a_page_read_it_once(
    server: Server, visitor: Client, product: dict[str, Any], database_url: str
) -> None:
    del product
    path = f"{PRODUCTS}?limit=7"
    connection = psycopg2.connect(database_url)
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE product IN ACCESS EXCLUSIVE MODE")

        def unlock_when_read() -> None:
            while not _waits_for_lock(database_url):
                pass
            connection.rollback()

        responses = run_concurrently(*[lambda: visitor.get(path)] * 8, unlock_when_read)[:-1]
    connection.close()

    assert {200} == {response.status_code for response in responses}
    requests = [
        entry
        for entry in server.log
        if entry.get("request_id") in {one.headers["x-request-id"] for one in responses}
    ]
    assert 8 == len(requests)
    assert 1 == sum(entry["round_trips"] for entry in requests)
    assert {"list_products"} == {entry["operation_id"] for entry in requests}


def _waits_for_lock(url: str) -> bool:
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        row = cursor.fetchone()
    connection.close()
    return row is not None and bool(row[0])
