"""Reading all pages of the catalogue skips and repeats nothing while products change."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.actor import Actor
from services import products
from services.products import Product
from tests.support.concurrency import run_concurrently
from tests.support.services import AddProduct

pytestmark = pytest.mark.usefixtures("audit_after_test")

SORTS = ["name", "-name", "price", "-price", "created_at", "-created_at", "stock", "-stock"]
NAMES = st.sampled_from(["Lamp", "lamp", "Mug", "Lamp shade", "Ämter", "Z" * 70, "Z" * 71])
DESCRIPTIONS = st.sampled_from(["", "Warm light of a lamp", "For tea"])
PROPERTIES = st.tuples(NAMES, DESCRIPTIONS, st.integers(0, 3), st.integers(0, 2))
# Changes between two pages: the products to create, and the positions of products to archive.
CHANGES = st.tuples(st.lists(PROPERTIES, max_size=3), st.lists(st.integers(0, 50), max_size=2))
FILTERS = st.sampled_from(
    [{}, {"q": "lamp"}, {"q": "warm la"}, {"in_stock": True}, {"max_stock": 1, "q": "lamp"}]
)

numbers = itertools.count(1)


def add(admin: Actor, name: str, description: str, price: int, stock: int) -> Product:
    return products.create_product(
        actor=admin,
        sku=f"SKU-{next(numbers)}",
        name=name,
        description=description,
        price=price,
        stock=stock,
    ).product


def read_all_pages(
    sort: str | None, filters: dict[str, Any], limit: int, between_pages: Callable[[], None]
) -> list[Product]:
    found: list[Product] = []
    cursor = None
    while True:
        page = products.list_products(sort=sort, limit=limit, cursor=cursor, **filters)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found
        between_pages()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    before=st.lists(PROPERTIES, min_size=1, max_size=12),
    changes=st.lists(CHANGES, max_size=8),
    sort=st.sampled_from([None, "relevance", *SORTS]),
    filters=FILTERS,
    limit=st.integers(1, 5),
)
def test_pages_skip_and_repeat_no_product_that_exists_during_the_whole_reading(
    admin: Actor,
    sql: Callable[..., Any],
    before: list[tuple[Any, ...]],
    changes: list[tuple[list[tuple[Any, ...]], list[int]]],
    sort: str | None,
    filters: dict[str, Any],
    limit: int,
):
    sql("TRUNCATE product CASCADE")
    remaining = {add(admin, *properties).id for properties in before}
    matching = {product.id for product in read_all_pages(sort, filters, 100, lambda: None)}
    pending = iter(changes)

    def change_catalogue() -> None:
        to_create, to_archive = next(pending, ([], []))
        for properties in to_create:
            add(admin, *properties)
        listed = [
            product.id for product in products.list_products(limit=100, sort="created_at").items
        ]
        for position in to_archive:
            if position < len(listed) and listed[position] is not None:
                products.archive_product(
                    actor=admin, product_id=listed[position], expected_versions=None
                )
                remaining.discard(listed[position])
                listed[position] = None

    found = [product.id for product in read_all_pages(sort, filters, limit, change_catalogue)]

    assert len(set(found)) == len(found)
    assert matching & remaining <= set(found)


def test_concurrent_readers_find_all_products_that_are_not_archived(
    admin: Actor, add_product: AddProduct
):
    remaining = {add_product(name=f"Thing {number:03}").id for number in range(0, 90, 3)}
    to_archive = [add_product(name=f"Thing {number:03}") for number in range(1, 90, 3)]

    def read(sort: str | None, filters: dict[str, Any]) -> list[UUID]:
        return [product.id for product in read_all_pages(sort, filters, 3, lambda: None)]

    def change() -> None:
        for number, product in enumerate(to_archive):
            products.archive_product(actor=admin, product_id=product.id, expected_versions=None)
            add(admin, f"Thing {3 * number + 2:03}", "", 1000, 1)

    queries: list[tuple[str | None, dict[str, Any]]] = [(sort, {}) for sort in SORTS]
    results = run_concurrently(
        change,
        lambda: read(None, {"q": "thing"}),
        *(lambda sort=sort, filters=filters: read(sort, filters) for sort, filters in queries),
    )[1:]

    for found in results:
        assert len(set(found)) == len(found)
        assert remaining <= set(found)
