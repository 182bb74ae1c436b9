"""POST /products/{product_id}/stock-adjustments."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
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


def test_an_adjustment_changes_the_stock_and_is_recorded_as_a_stock_movement(admin: Client) -> None:
    product = add_product(admin, stock=10)

    response = adjust(admin, product, delta=-3, reason="DAMAGED")

    assert 201 == response.status_code, response.text
    ledger = f"{PRODUCTS}/{product['id']}/stock-movements"
    assert ledger == response.headers["location"]
    movement = response.json()
    assert movement == admin.get(ledger).json()["items"][0]
    assert {
        "kind": "ADJUSTMENT",
        "delta": -3,
        "stock_after": 7,
        "reason": "DAMAGED",
        "order_id": None,
        "actor_user_id": admin.get("/api/v1/users/me").json()["id"],
        "request_id": response.headers["x-request-id"],
    }.items() <= movement.items()
    assert 12 == adjust(admin, product, delta=5, reason="RECEIVED").json()["stock_after"]
    assert 12 == get_stock(admin, product)
    assert [] == audit()


def test_a_count_sets_the_stock_only_if_the_stock_is_as_expected(admin: Client) -> None:
    product = add_product(admin, stock=37)

    response = adjust(admin, product, set_to=40, expected=37, reason="COUNTED")
    repeated = adjust(admin, product, set_to=40, expected=37, reason="COUNTED")

    assert (3, 40) == (response.json()["delta"], response.json()["stock_after"])
    problem = assert_problem(repeated, 409, "stock_not_as_expected")
    assert (40, 37) == (problem["available"], problem["expected"])
    assert 40 == get_stock(admin, product)


def test_a_count_that_equals_the_stock_is_recorded_with_a_delta_of_zero(admin: Client) -> None:
    product = add_product(admin, stock=37)

    response = adjust(admin, product, set_to=37, expected=37, reason="COUNTED")

    assert (201, 0, 37) == (
        response.status_code,
        response.json()["delta"],
        response.json()["stock_after"],
    )
    assert [] == audit()


def test_an_adjustment_cannot_make_the_stock_negative(admin: Client) -> None:
    product = add_product(admin, stock=2)

    problem = assert_problem(
        adjust(admin, product, delta=-3, reason="LOST"), 409, "stock_below_zero"
    )

    assert (2, -3) == (problem["available"], problem["delta"])
    assert 2 == get_stock(admin, product)


def test_a_cancelled_order_can_raise_the_stock_above_the_maximum_of_an_adjustment(
    admin: Client,
) -> None:
    product = add_product(admin, stock=MAX_STOCK)
    order = place_order(admin, (product, 5)).json()
    adjust(admin, product, delta=5, reason="RECEIVED")

    assert 200 == cancel_order(admin, order).status_code

    stock = MAX_STOCK + 5
    assert stock == get_stock(admin, product)
    problem = assert_problem(
        adjust(admin, product, delta=1, reason="FOUND"), 409, "stock_too_large"
    )
    assert stock == problem["available"]
    exported = admin.get(f"{PRODUCTS}/export").content
    imported = admin.post(
        f"{PRODUCTS}/import", content=exported, headers={"Content-Type": "text/csv"}
    )
    assert 1 == imported.json()["unchanged"], imported.text
    assert 1 == -adjust(admin, product, delta=-1, reason="LOST").json()["delta"]
    stock -= 1
    response = adjust(admin, product, set_to=0, expected=stock, reason="COUNTED")
    assert (-stock, 0) == (response.json()["delta"], response.json()["stock_after"])
    assert [] == audit()


def test_an_adjustment_cannot_exceed_the_maximum_stock(admin: Client) -> None:
    product = add_product(admin, stock=999_999_999)

    problem = assert_problem(
        adjust(admin, product, delta=2, reason="FOUND"), 409, "stock_too_large"
    )

    assert 999_999_999 == problem["available"]


def test_the_stock_of_an_archived_product_can_be_adjusted(admin: Client) -> None:
    product = add_product(admin, stock=2)
    admin.delete(f"{PRODUCTS}/{product['id']}")

    assert 1 == adjust(admin, product, delta=-1, reason="LOST").json()["stock_after"]


@pytest.mark.parametrize(
    ("body", "pointers"),
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
def test_an_invalid_body_is_a_400_that_names_the_property(
    admin: Client, body: dict[str, Any], pointers: list[str]
) -> None:
    problem = assert_problem(adjust(admin, add_product(admin), **body), 400, "malformed_request")

    assert pointers == sorted(error["pointer"] for error in problem["errors"])


def test_only_administrators_can_adjust_stock_and_an_unknown_product_is_404(
    admin: Client, alice: Client, anonymous: Client
) -> None:
    product, change = add_product(admin), {"delta": 1, "reason": "FOUND"}

    assert_problem(adjust(anonymous, product, **change), 401, "unauthenticated")
    assert_problem(adjust(alice, product, **change), 403, "forbidden")
    assert_problem(adjust(admin, {"id": uuid4()}, **change), 404, "not_found")


def adjust_once(admin: Client, product: dict[str, Any], key: str, **body: Any) -> Any:
    path = f"{PRODUCTS}/{product['id']}/stock-adjustments"
    return admin.post(path, json=body, headers={"Idempotency-Key": key})


@pytest.mark.parametrize(
    "body",
    [{"delta": -3, "reason": "LOST"}, {"set_to": 7, "expected": 10, "reason": "COUNTED"}],
)
def test_a_request_with_the_same_key_changes_the_stock_once(
    admin: Client, body: dict[str, Any]
) -> None:
    product = add_product(admin, stock=10)
    first = adjust_once(admin, product, "count-1", **body)
    adjust(admin, product, delta=20, reason="RECEIVED")

    repeated = adjust_once(admin, product, "count-1", **body)

    assert (201, first.json()) == (repeated.status_code, repeated.json())
    assert "idempotent-replayed" not in first.headers
    assert "true" == repeated.headers["idempotent-replayed"]
    assert 27 == get_stock(admin, product)
    assert [] == audit()


def test_a_key_is_only_for_one_adjustment(admin: Client) -> None:
    product, other = (add_product(admin, sku=sku, stock=10) for sku in ("MUG", "CUP"))
    adjust_once(admin, product, "k", delta=1, reason="FOUND")

    for refused in (
        adjust_once(admin, product, "k", delta=2, reason="FOUND"),
        adjust_once(admin, product, "k", delta=1, reason="RECEIVED"),
        adjust_once(admin, product, "k", set_to=1, expected=11, reason="FOUND"),
        adjust_once(admin, other, "k", delta=1, reason="FOUND"),
    ):
        assert_problem(refused, 422, "idempotency_key_reused")
    assert (11, 10) == (get_stock(admin, product), get_stock(admin, other))


def test_a_refused_adjustment_does_not_use_up_the_key(admin: Client) -> None:
    product = add_product(admin, stock=1)
    refused = adjust_once(admin, product, "k", delta=-2, reason="LOST")
    assert_problem(refused, 409, "stock_below_zero")
    adjust(admin, product, delta=1, reason="FOUND")

    assert 0 == adjust_once(admin, product, "k", delta=-2, reason="LOST").json()["stock_after"]


def test_concurrent_requests_with_the_same_key_change_the_stock_once(admin: Client) -> None:
    product = add_product(admin, stock=100)
    for number in range(10):
        with ThreadPoolExecutor(6) as pool:
            responses = [
                *pool.map(
                    lambda _, key=f"k{number}": adjust_once(
                        admin, product, key, delta=-1, reason="LOST"
                    ),
                    range(6),
                )
            ]

        assert {201} == {response.status_code for response in responses}
        assert 1 == len({response.content for response in responses})
        assert 99 - number == get_stock(admin, product)
    assert [] == audit()
