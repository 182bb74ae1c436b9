"""POST /products/{product_id}/stock-adjustments."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from httpx2 import Client

from services.audit import audit
from services.stock import MAX_STOCK
from tests.support.problems import assert_problem
from tests.support.shop import PRODUCTS, add_product, cancel_order, get_stock, place_order


def adjust(client: Client, product: dict[str, Any], **body: Any) -> Any:
    return client.post(f"{PRODUCTS}/{product['id']}/stock-adjustments", json=body)


def test_units_come_and_go(admin: Client) -> None:
    product = add_product(admin, stock=10)

    answer = adjust(admin, product, delta=-3, reason="DAMAGED")

    assert 201 == answer.status_code, answer.text
    ledger = f"{PRODUCTS}/{product['id']}/stock-movements"
    assert ledger == answer.headers["location"]
    movement = answer.json()
    assert movement == admin.get(ledger).json()["items"][0]
    assert {
        "kind": "ADJUSTMENT",
        "delta": -3,
        "stock_after": 7,
        "reason": "DAMAGED",
        "order_id": None,
        "actor_user_id": admin.get("/api/v1/users/me").json()["id"],
        "request_id": answer.headers["x-request-id"],
    }.items() <= movement.items()
    assert 12 == adjust(admin, product, delta=5, reason="RECEIVED").json()["stock_after"]
    assert 12 == get_stock(admin, product)
    assert [] == audit()


def test_a_count_sets_the_stock_if_it_is_still_as_expected(admin: Client) -> None:
    product = add_product(admin, stock=37)

    answer = adjust(admin, product, set_to=40, expected=37, reason="COUNTED")
    again = adjust(admin, product, set_to=40, expected=37, reason="COUNTED")

    assert (3, 40) == (answer.json()["delta"], answer.json()["stock_after"])
    refused = assert_problem(again, 409, "stock_not_as_expected")
    assert (40, 37) == (refused["available"], refused["expected"])
    assert 40 == get_stock(admin, product)


def test_a_count_that_was_right_is_recorded(admin: Client) -> None:
    product = add_product(admin, stock=37)

    answer = adjust(admin, product, set_to=37, expected=37, reason="COUNTED")

    assert (201, 0, 37) == (
        answer.status_code,
        answer.json()["delta"],
        answer.json()["stock_after"],
    )
    assert [] == audit()


def test_there_are_never_fewer_than_none(admin: Client) -> None:
    product = add_product(admin, stock=2)

    refused = assert_problem(
        adjust(admin, product, delta=-3, reason="LOST"), 409, "stock_below_zero"
    )

    assert (2, -3) == (refused["available"], refused["delta"])
    assert 2 == get_stock(admin, product)


def test_what_an_order_gives_back_may_come_on_top_of_all_that_can_be_counted(admin: Client) -> None:
    product = add_product(admin, stock=MAX_STOCK)
    order = place_order(admin, (product, 5)).json()
    adjust(admin, product, delta=5, reason="RECEIVED")

    assert 200 == cancel_order(admin, order).status_code

    there_are = MAX_STOCK + 5
    assert there_are == get_stock(admin, product)
    refused = assert_problem(
        adjust(admin, product, delta=1, reason="FOUND"), 409, "stock_too_large"
    )
    assert there_are == refused["available"]
    exported = admin.get(f"{PRODUCTS}/export").content
    imported = admin.post(
        f"{PRODUCTS}/import", content=exported, headers={"Content-Type": "text/csv"}
    )
    assert 1 == imported.json()["unchanged"], imported.text
    assert 1 == -adjust(admin, product, delta=-1, reason="LOST").json()["delta"]
    there_are -= 1
    answer = adjust(admin, product, set_to=0, expected=there_are, reason="COUNTED")
    assert (-there_are, 0) == (answer.json()["delta"], answer.json()["stock_after"])
    assert [] == audit()


def test_there_are_never_more_than_can_be_counted(admin: Client) -> None:
    product = add_product(admin, stock=999_999_999)

    refused = assert_problem(
        adjust(admin, product, delta=2, reason="FOUND"), 409, "stock_too_large"
    )

    assert 999_999_999 == refused["available"]


def test_a_product_that_is_archived_has_a_stock_as_well(admin: Client) -> None:
    product = add_product(admin, stock=2)
    admin.delete(f"{PRODUCTS}/{product['id']}")

    assert 1 == adjust(admin, product, delta=-1, reason="LOST").json()["stock_after"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, ["/delta", "/reason"]),
        ({"delta": 1}, ["/reason"]),
        ({"delta": 0, "reason": "FOUND"}, ["/delta"]),
        ({"delta": 1.5, "reason": "FOUND"}, ["/delta"]),
        ({"delta": 1, "reason": "STOLEN"}, ["/reason"]),
        ({"delta": 1, "reason": "IMPORTED"}, ["/reason"]),
        ({"delta": 1, "set_to": 1, "expected": 1, "reason": "FOUND"}, ["/delta"]),
        ({"set_to": 1, "reason": "COUNTED"}, ["/expected"]),
        ({"set_to": -1, "expected": 1, "reason": "COUNTED"}, ["/set_to"]),
        ({"set_to": 1_000_000_001, "expected": 1, "reason": "COUNTED"}, ["/set_to"]),
        ({"delta": 1, "reason": "FOUND", "note": "behind the shelf"}, ["/note"]),
    ],
)
def test_what_does_not_fit_is_named(admin: Client, body: dict[str, Any], named: list[str]) -> None:
    refused = assert_problem(adjust(admin, add_product(admin), **body), 400, "malformed_request")

    assert named == sorted(one["pointer"] for one in refused["errors"])


def test_it_is_for_administrators_and_for_products_there_are(
    admin: Client, alice: Client, anonymous: Client
) -> None:
    product, change = add_product(admin), {"delta": 1, "reason": "FOUND"}

    assert_problem(adjust(anonymous, product, **change), 401, "unauthenticated")
    assert_problem(adjust(alice, product, **change), 403, "forbidden")
    assert_problem(adjust(admin, {"id": uuid4()}, **change), 404, "not_found")
