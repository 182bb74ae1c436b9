"""Whoever goes through the catalogue page by page misses nothing while it changes."""

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
TOLD = st.sampled_from(["", "Warm light of a lamp", "For tea"])
FACTS = st.tuples(NAMES, TOLD, st.integers(0, 3), st.integers(0, 2))
# Between two pages: what comes, and which of those that are on sale go.
CHANGES = st.tuples(st.lists(FACTS, max_size=3), st.lists(st.integers(0, 50), max_size=2))
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
    )


def page_through(
    sort: str | None, filters: dict[str, Any], limit: int, between: Callable[[], None]
) -> list[Product]:
    found: list[Product] = []
    cursor = None
    while True:
        page = products.list_products(sort=sort, limit=limit, cursor=cursor, **filters)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found
        between()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    before=st.lists(FACTS, min_size=1, max_size=12),
    changes=st.lists(CHANGES, max_size=8),
    sort=st.sampled_from([None, "relevance", *SORTS]),
    filters=FILTERS,
    limit=st.integers(1, 5),
)
def test_no_page_repeats_or_skips_what_was_there_throughout(
    admin: Actor,
    sql: Callable[..., Any],
    before: list[tuple[Any, ...]],
    changes: list[tuple[list[tuple[Any, ...]], list[int]]],
    sort: str | None,
    filters: dict[str, Any],
    limit: int,
):
    sql("TRUNCATE product CASCADE")
    stays = {add(admin, *facts).id for facts in before}
    wanted = {one.id for one in page_through(sort, filters, 100, lambda: None)}
    pending = iter(changes)

    def between() -> None:
        come, go = next(pending, ([], []))
        for facts in come:
            add(admin, *facts)
        on_sale = [one.id for one in products.list_products(limit=100, sort="created_at").items]
        for place in go:
            if place < len(on_sale) and on_sale[place] is not None:
                products.archive_product(
                    actor=admin, product_id=on_sale[place], expected_versions=None
                )
                stays.discard(on_sale[place])
                on_sale[place] = None

    found = [one.id for one in page_through(sort, filters, limit, between)]

    assert len(set(found)) == len(found)
    assert wanted & stays <= set(found)


def test_many_read_while_others_add_and_archive(admin: Actor, add_product: AddProduct):
    stays = {add_product(name=f"Thing {number:03}").id for number in range(0, 90, 3)}
    goes = [add_product(name=f"Thing {number:03}") for number in range(1, 90, 3)]

    def read(sort: str | None, filters: dict[str, Any]) -> list[UUID]:
        return [one.id for one in page_through(sort, filters, 3, lambda: None)]

    def change() -> None:
        for number, one in enumerate(goes):
            products.archive_product(actor=admin, product_id=one.id, expected_versions=None)
            add(admin, f"Thing {3 * number + 2:03}", "", 1000, 1)

    asked: list[tuple[str | None, dict[str, Any]]] = [(sort, {}) for sort in SORTS]
    readings = run_concurrently(
        change,
        lambda: read(None, {"q": "thing"}),
        *(lambda sort=sort, filters=filters: read(sort, filters) for sort, filters in asked),
    )[1:]

    for found in readings:
        assert len(set(found)) == len(found)
        assert stays <= set(found)
