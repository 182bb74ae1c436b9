"""Fixtures for tests of services on a real database: actors, products and direct SQL."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from database import binding
from domain.actor import ADMIN, CLIENT, Actor
from services import products, users
from services.audit import audit
from services.products import Product
from tests.support.concurrency import Blocker
from tests.support.services import PASSWORD, AddProduct, make_actor


@pytest.fixture(autouse=True)
def _bind_process(shop: str) -> None:
    """Bind the process to the shop's database, which every service needs."""
    del shop


@pytest.fixture
def as_owner(shop: str) -> None:
    """Bind the process with the role that owns the tables, which may create and change tables."""
    binding.bind(shop, max_connections=70)


@pytest.fixture
def audit_after_test(shop: str) -> Iterator[None]:
    """Run the audit after the test: it must find no inconsistency."""
    del shop
    yield

    assert audit() == []


@pytest.fixture
def anonymous() -> Actor:
    """Return an actor that is not signed in."""
    return make_actor(None, None)


@pytest.fixture
def admin(shop: str) -> Actor:
    """Return an administrator."""
    del shop
    user = users.create_admin(email="boss@example.com", name="Boss", password=PASSWORD)
    return make_actor(user.id, ADMIN)


@pytest.fixture
def client(new_client: Callable[[], Actor]) -> Actor:
    """Return a customer."""
    return new_client()


@pytest.fixture
def new_client(anonymous: Actor) -> Callable[[], Actor]:
    """Return a function that registers another customer each time."""
    numbers = itertools.count()

    def register() -> Actor:
        user = users.register(
            actor=anonymous,
            email=f"client{next(numbers)}@example.com",
            name="Client",
            password=PASSWORD,
        )
        return make_actor(user.id, CLIENT)

    return register


@pytest.fixture
def add_product(admin: Actor) -> AddProduct:
    """Return a function that creates products, each with a unique SKU."""
    numbers = itertools.count(1)

    def add(stock: int = 10, price: int = 1000, **fields: Any) -> Product:
        number = next(numbers)
        defaults = {"sku": f"SKU-{number}", "name": f"Thing {number}", "description": ""}
        return products.create_product(
            actor=admin, stock=stock, price=price, **(defaults | fields)
        ).product

    return add


@pytest.fixture
def blocker(shop: str) -> Iterator[Blocker]:
    """Yield a transaction of another client."""
    found = Blocker(shop)
    yield found
    found.close()
