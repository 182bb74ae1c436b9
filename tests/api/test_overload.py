"""Overload: early refusals, slots for reads while orders wait for a lock, clients that give up."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from httpx2 import Client, Response

from tests.support.problems import assert_problem
from tests.support.processes import Server, run_server, wait_until
from tests.support.settings import NO_RATE_LIMIT_VARIABLES, SIGNING_KEY
from tests.support.shop import ORDERS, PRODUCTS, add_product, place_order

Serve = Callable[..., AbstractContextManager[Server]]

COUNT_WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND datname = current_database()
"""


@pytest.fixture
def serve(runtime_url: str, tmp_path: Path) -> Serve:
    """Return a function that runs a server with other settings on the shared database."""

    def run(**variables: str) -> AbstractContextManager[Server]:
        return run_server(
            tmp_path / "data",
            ORDERLY_DATABASE_URL=runtime_url,
            ORDERLY_SIGNING_KEY=SIGNING_KEY,
            ORDERLY_COOKIE_SECURE="false",
            ORDERLY_WORKER="false",
            **NO_RATE_LIMIT_VARIABLES,
            **variables,
        )

    return run


class LockedProducts:
    """Products whose stock is locked by another transaction, and orders that wait for them.

    Each order is for a different product: orders of the same product wait in the process instead.
    """

    def __init__(
        self, database_url: str, products: list[dict[str, Any]], url: str, token: str
    ) -> None:
        self._locking = psycopg2.connect(database_url)
        self._locking.cursor().execute("SELECT FROM stock FOR UPDATE")
        self._observing = psycopg2.connect(database_url)
        self._observing.autocommit = True
        self._products = iter(products)
        self._pool = ThreadPoolExecutor(50)
        self._url = url
        self._token = token

    def client(self) -> Client:
        """Return a signed-in client of the server."""
        headers = {"Authorization": f"Bearer {self._token}"}
        return Client(base_url=self._url, headers=headers, timeout=30)

    def order(self) -> Response:
        """Order a product; return the response."""
        product = next(self._products)
        with self.client() as client:
            response: Response = place_order(client, (product, 1))
            return response

    def begin_orders(self, number: int, *, waiting: int) -> list[Future[Response]]:
        """Begin to order products; return when `waiting` orders wait for a lock."""
        orders = [self._pool.submit(self.order) for _ in range(number)]
        wait_until(lambda: self.count_waiting() == waiting)
        return orders

    def count_waiting(self) -> int:
        """Return how many database sessions wait for a lock."""
        cursor = self._observing.cursor()
        cursor.execute(COUNT_WAITING)
        ((count,),) = cursor.fetchall()
        return int(count)

    def release(self) -> None:
        """End the transaction that holds the lock."""
        self._locking.rollback()

    def close(self) -> None:
        """Close the connections to the database."""
        self._locking.close()
        self._observing.close()


@contextmanager
def locked_products(
    database_url: str, url: str, admin: Client, alice: Client, *, number: int
) -> Iterator[LockedProducts]:
    products = [add_product(admin, sku=f"LOCKED-{count}", stock=1) for count in range(number)]
    token = alice.cookies["orderly_access"]
    with closing(LockedProducts(database_url, products, url, token)) as locked:
        yield locked


def test_pages_are_served_while_orders_wait_for_locked_products(
    serve: Serve, admin: Client, alice: Client, shop: str
):
    with (
        serve() as server,
        locked_products(shop, server.url, admin, alice, number=48) as locked,
    ):
        orders = locked.begin_orders(48, waiting=12)
        with locked.client() as client:
            pages = [client.get(PRODUCTS).status_code for _ in range(10)]
            health = [server.get(f"/health/{name}").status_code for name in ("live", "ready")]

        assert 12 == locked.count_waiting()
        assert [200] * 10 == pages
        assert [200, 200] == health
        locked.release()
        assert {one.result().status_code for one in orders} <= {201, 503}


def test_an_order_that_would_wait_too_long_gets_503_with_retry_after(
    serve: Serve, admin: Client, alice: Client, shop: str
):
    with (
        serve(ORDERLY_THREADS="4", ORDERLY_QUEUE_TARGET_MS="20") as server,
        locked_products(shop, server.url, admin, alice, number=4) as locked,
    ):
        orders = locked.begin_orders(3, waiting=3)

        refused = locked.order()

        assert 3 == locked.count_waiting()
        assert_problem(refused, 503, "service_unavailable")
        assert int(refused.headers["Retry-After"]) in {1, 2, 3}
        locked.release()
        assert [201] * 3 == [one.result().status_code for one in orders]


def test_the_order_of_a_client_that_has_disconnected_is_not_placed(
    serve: Serve, admin: Client, alice: Client, shop: str
):
    with (
        serve(ORDERLY_THREADS="4", ORDERLY_QUEUE_TARGET_MS="10000") as server,
        locked_products(shop, server.url, admin, alice, number=4) as locked,
    ):
        orders = locked.begin_orders(3, waiting=3)
        # After the lock, which covers all products that exist then
        other = add_product(admin, sku="OTHER", stock=10)
        send_order_and_disconnect(server.port, other, alice.cookies["orderly_access"])
        with locked.client() as client, ThreadPoolExecutor(1) as pool:
            next_order = pool.submit(place_order, client, (other, 1))
            locked.release()

            assert 201 == next_order.result().status_code
            assert [201] * 3 == [one.result().status_code for one in orders]
            assert 9 == client.get(f"{PRODUCTS}/{other['id']}").json()["stock"]


def send_order_and_disconnect(port: int, product: dict[str, Any], token: str) -> None:
    body = json.dumps({"items": [{"product_id": product["id"], "quantity": 1}]})
    request = (
        f"POST {ORDERS} HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request.encode())


@pytest.mark.parametrize("header", ["X-Request-Deadline", "X-Envoy-Expected-Rq-Timeout-Ms"])
def test_a_request_whose_deadline_has_passed_gets_503(alice: Client, header: str):
    response = alice.get(ORDERS, headers={header: "0"})

    assert_problem(response, 503, "service_unavailable")
    assert "deadline" in response.json()["detail"]
    assert 200 == alice.get(ORDERS, headers={header: "4000000000.5"}).status_code


def test_a_malformed_deadline_gets_400(alice: Client):
    response = alice.get(ORDERS, headers={"X-Request-Deadline": "tomorrow"})

    assert_problem(response, 400, "malformed_request")
    assert "X-Request-Deadline" == response.json()["errors"][0]["parameter"]
