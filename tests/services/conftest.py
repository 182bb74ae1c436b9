"""A shop on a real database, reached through its services."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol
from uuid import UUID

import psycopg2
import pytest

from domain.actor import ADMIN, CLIENT, Actor
from services import products, users
from services.audit import audit
from services.products import Product

PASSWORD = "blackberry strudel"


class AddProduct(Protocol):
    """Puts a product on sale."""

    def __call__(self, stock: int = 10, price: int = 1000, **facts: Any) -> Product: ...


@pytest.fixture(autouse=True)
def _bound(shop: str) -> None:
    """Bind the process to the shop's database: every use case needs it."""
    del shop


@pytest.fixture
def sound(shop: str) -> Iterator[None]:
    """Hold the shop against everything that must always hold when the test is over."""
    del shop
    yield

    assert audit() == []


@pytest.fixture
def nobody() -> Actor:
    """Somebody who is not signed in."""
    return someone(None, None)


@pytest.fixture
def admin(shop: str) -> Actor:
    """An administrator."""
    del shop
    user = users.create_admin(email="boss@example.com", name="Boss", password=PASSWORD)
    return someone(user.id, ADMIN)


@pytest.fixture
def client(new_client: Callable[[], Actor]) -> Actor:
    """Somebody who buys."""
    return new_client()


@pytest.fixture
def new_client(nobody: Actor) -> Callable[[], Actor]:
    """Make another who buys, each time."""
    numbers = itertools.count()

    def make() -> Actor:
        user = users.register(
            actor=nobody,
            email=f"client{next(numbers)}@example.com",
            name="Client",
            password=PASSWORD,
        )
        return someone(user.id, CLIENT)

    return make


@pytest.fixture
def add_product(admin: Actor) -> AddProduct:
    """Put products on sale, each with a sku of its own."""
    numbers = itertools.count(1)

    def add(stock: int = 10, price: int = 1000, **facts: Any) -> Product:
        number = next(numbers)
        defaults = {"sku": f"SKU-{number}", "name": f"Thing {number}", "description": ""}
        return products.create_product(actor=admin, stock=stock, price=price, **(defaults | facts))

    return add


@pytest.fixture
def sql(database_url: str) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """Look at, or meddle with, the database behind the services' back."""
    connection = psycopg2.connect(database_url)
    connection.autocommit = True

    def run(text: str, *values: Any) -> list[tuple[Any, ...]]:
        cursor = connection.cursor()
        cursor.execute(text, values or None)
        return cursor.fetchall() if cursor.description else []

    yield run
    connection.close()


def someone(user_id: UUID | None, role: str | None, *, user_agent: str = "Firefox") -> Actor:
    """Return an actor, as the HTTP side would make it."""
    return Actor(user_id, role, None, "request-1", "127.0.0.1", user_agent)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make calls in as many threads, and return what each gave or raised."""

    def outcome(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:  # it is the test that judges
            return error

    with ThreadPoolExecutor(len(calls)) as executor:
        return list(executor.map(outcome, calls))


def free_while_waiting(
    database_url: str, call: Callable[[], Any], waited_for: UUID, others: list[UUID]
) -> tuple[Any, int]:
    """Make a call wait for one product's stock, and count which of the others it leaves free."""
    locking, looking = psycopg2.connect(database_url), psycopg2.connect(database_url)
    looking.autocommit = True
    cursor = looking.cursor()
    # Moves the row behind the others, where a scan of the table comes to it last.
    cursor.execute("UPDATE stock SET quantity = quantity WHERE product_id = %s", (waited_for,))
    cursor.execute("ANALYZE stock, product")
    locking.cursor().execute("SELECT FROM stock WHERE product_id = %s FOR UPDATE", (waited_for,))

    def look() -> int:
        waiting = 0
        while not waiting:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            ((waiting,),) = cursor.fetchall()
        cursor.execute(
            "SELECT FROM stock WHERE product_id = ANY (%s) FOR UPDATE SKIP LOCKED", (others,)
        )
        locking.close()
        return cursor.rowcount

    outcome, free = at_once(call, look)
    looking.close()
    return outcome, free
