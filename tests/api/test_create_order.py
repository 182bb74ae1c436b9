"""POST /orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import Any

import psycopg2
import pytest
from httpx2 import Client

from services.audit import audit
from tests.support.problems import assert_problem
from tests.support.shop import LONDON, ORDERS, add_product, cancel_order, get_stock, place_order

UNKNOWN_ID = "0192f0c1-7e2a-7b31-8c55-5d0a1f4be111"


def test_an_order_has_exact_totals_and_reduces_the_stock(admin: Client, alice: Client) -> None:
    mug, lamp = add_product(admin, "MUG", 1990, 10), add_product(admin, "LAMP", 4999, 5)

    response = place_order(alice, (mug, 3), (lamp, 2))

    assert 201 == response.status_code, response.text
    order = response.json()
    assert {"amount": 3 * 1990 + 2 * 4999, "currency": "EUR"} == order["total"]
    assert [("MUG", 3, 5970), ("LAMP", 2, 9998)] == [
        (item["sku"], item["quantity"], item["subtotal"]["amount"]) for item in order["items"]
    ]
    assert ("PENDING", None) == (order["status"], order["tracking_number"])
    assert (7, 3) == (get_stock(alice, mug), get_stock(alice, lamp))
    read = alice.get(response.headers["location"])
    assert (order, response.headers["etag"]) == (read.json(), read.headers["etag"])
    assert [] == audit()


def test_an_order_keeps_the_name_sku_and_price_of_its_products(
    admin: Client, alice: Client
) -> None:
    mug = add_product(admin, "MUG", 1990, 10)
    order = place_order(alice, (mug, 1)).json()

    price = {"amount": 1, "currency": "EUR"}
    admin.patch(f"/api/v1/products/{mug['id']}", json={"name": "New", "sku": "NEW", "price": price})

    assert order == alice.get(f"{ORDERS}/{order['id']}").json()


def test_quantities_of_the_same_product_are_added_before_the_stock_is_checked(
    admin: Client, alice: Client
) -> None:
    mug = add_product(admin, stock=5)

    problem = assert_problem(place_order(alice, (mug, 3), (mug, 3)), 409, "insufficient_stock")

    assert [{"product_id": mug["id"], "requested": 6, "available": 5}] == problem["lines"]
    assert 5 == get_stock(alice, mug)
    assert 201 == place_order(alice, (mug, 3), (mug, 2)).status_code
    assert 0 == get_stock(alice, mug)


def test_the_sum_of_several_lines_can_exceed_the_maximum_of_one_line(
    admin: Client, alice: Client
) -> None:
    mug = add_product(admin, price=1, stock=30_000)

    order = place_order(alice, (mug, 10_000), (mug, 10_000), (mug, 5)).json()

    assert [20_005] == [item["quantity"] for item in order["items"]]
    assert 20_005 == order["total"]["amount"]
    assert order == alice.get(f"{ORDERS}/{order['id']}").json()


def test_all_products_with_insufficient_stock_are_listed_and_no_stock_changes(
    admin: Client, alice: Client
) -> None:
    mug, lamp, cup = (add_product(admin, sku, stock=2) for sku in ("MUG", "LAMP", "CUP"))

    problem = assert_problem(
        place_order(alice, (mug, 3), (lamp, 1), (cup, 9)), 409, "insufficient_stock"
    )

    assert {(mug["id"], 3, 2), (cup["id"], 9, 2)} == {
        (line["product_id"], line["requested"], line["available"]) for line in problem["lines"]
    }
    assert [2, 2, 2] == [get_stock(alice, product) for product in (mug, lamp, cup)]
    assert [] == alice.get(ORDERS).json()["items"]


def test_an_unknown_product_is_listed_in_the_error(admin: Client, alice: Client) -> None:
    mug = add_product(admin)

    problem = assert_problem(
        place_order(alice, (mug, 1), ({"id": UNKNOWN_ID}, 1)), 409, "products_unavailable"
    )

    assert [{"product_id": UNKNOWN_ID, "requested": 1}] == problem["lines"]
    assert 10 == get_stock(alice, mug)


def test_the_error_lists_unknown_products_and_insufficient_stock_together(
    admin: Client, alice: Client
) -> None:
    mug = add_product(admin)

    problem = assert_problem(
        place_order(alice, (mug, 11), ({"id": UNKNOWN_ID}, 1)), 409, "products_unavailable"
    )

    assert [
        {"product_id": UNKNOWN_ID, "requested": 1},
        {"product_id": mug["id"], "requested": 11, "available": 10},
    ] == problem["lines"]
    assert 10 == get_stock(alice, mug)


def test_of_64_concurrent_orders_for_20_units_exactly_20_succeed(
    admin: Client, alice: Client, new_client: Callable[[str], Client]
) -> None:
    mug = add_product(admin, stock=20)
    buyers = [alice, *(new_client(f"buyer{number}") for number in range(7))]

    with ThreadPoolExecutor(64) as pool:
        responses = list(
            pool.map(lambda number: place_order(buyers[number % 8], (mug, 1)), range(64))
        )

    placed = [response for response in responses if response.status_code == 201]
    rejected = [response for response in responses if response.status_code != 201]
    assert (20, 44) == (len(placed), len(rejected))
    for response in rejected:
        lines = assert_problem(response, 409, "insufficient_stock")["lines"]
        assert [{"product_id": mug["id"], "requested": 1, "available": 0}] == lines
    assert 0 == get_stock(alice, mug)
    assert 20 == len({response.json()["number"] for response in placed})
    assert [] == audit()


def test_an_order_that_waits_for_a_stock_lock_uses_the_stock_and_price_committed_meanwhile(
    admin: Client, alice: Client, database_url: str
) -> None:
    mug = add_product(admin, price=1000, stock=1)
    with (
        closing(psycopg2.connect(database_url)) as delivery,
        closing(psycopg2.connect(database_url)) as monitor,
        ThreadPoolExecutor(1) as pool,
    ):
        monitor.autocommit = True
        monitoring, delivering = monitor.cursor(), delivery.cursor()
        delivering.execute("SELECT FROM stock FOR UPDATE")
        waiting = pool.submit(place_order, alice, (mug, 3))
        blocked = False
        while not blocked:
            monitoring.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
            (blocked,) = monitoring.fetchone()
        new_price = {"price": {"amount": 2000, "currency": "EUR"}}
        assert 200 == admin.patch(f"/api/v1/products/{mug['id']}", json=new_price).status_code
        delivering.execute("UPDATE stock SET quantity = quantity + 4")
        delivering.execute(
            "INSERT INTO stock_movement (id, product_id, kind, delta, quantity_after, request_id,"
            " created_at) SELECT gen_random_uuid(), product_id, 'ADJUSTMENT', 4, quantity, 'test',"
            " now() FROM stock"
        )
        delivery.commit()

        response = waiting.result()

    assert 201 == response.status_code, response.text
    assert 6000 == response.json()["total"]["amount"]
    assert 2 == get_stock(alice, mug)
    assert [] == audit()


def test_only_quotes_around_an_idempotency_key_are_ignored(admin: Client, alice: Client) -> None:
    mug = add_product(admin)

    numbers = {
        place_order(alice, (mug, 1), **{"Idempotency-Key": key}).json()["number"]
        for key in ("k", '"k"', 'k"', 'k""')
    }

    assert 3 == len(numbers)


def test_a_repeated_request_returns_the_first_response(admin: Client, alice: Client) -> None:
    mug = add_product(admin)
    first = place_order(alice, (mug, 2), **{"Idempotency-Key": '"checkout-1"'})
    order = first.json()
    admin.put(f"{ORDERS}/{order['id']}/status", json={"status": "PAID"})

    second = place_order(alice, (mug, 2), **{"Idempotency-Key": "checkout-1"})

    assert (201, order) == (second.status_code, second.json())
    assert "true" == second.headers["idempotent-replayed"]
    assert "idempotent-replayed" not in first.headers
    assert 8 == get_stock(alice, mug)


def test_an_idempotency_key_belongs_to_one_request_of_one_customer(
    admin: Client, alice: Client, bob: Client
) -> None:
    mug = add_product(admin)
    key = {"Idempotency-Key": "k"}
    first = place_order(alice, (mug, 1), **key)

    assert_problem(place_order(alice, (mug, 2), **key), 422, "idempotency_key_reused")
    other = place_order(bob, (mug, 2), **key)
    assert 201 == other.status_code
    assert first.json()["id"] != other.json()["id"]


def test_the_idempotency_key_of_a_rejected_order_can_be_used_again(
    admin: Client, alice: Client
) -> None:
    mug = add_product(admin, stock=1)
    key = {"Idempotency-Key": "k"}
    assert_problem(place_order(alice, (mug, 2), **key), 409, "insufficient_stock")

    assert 201 == place_order(alice, (mug, 1), **key).status_code


def test_concurrent_requests_with_the_same_idempotency_key_place_one_order(
    admin: Client, alice: Client
) -> None:
    mug = add_product(admin, stock=100)
    with ThreadPoolExecutor(8) as pool:
        for number in range(12):
            key = {"Idempotency-Key": f"key-{number}"}
            responses = list(
                pool.map(lambda _, key=key: place_order(alice, (mug, 1), **key), range(4))
            )
            order_ids = {
                response.json()["id"] for response in responses if response.status_code == 201
            }
            assert 1 == len(order_ids)
            for response in responses:
                if response.status_code != 201:
                    assert_problem(response, 409, "idempotency_in_flight")

    assert 100 - 12 == get_stock(alice, mug)
    assert [] == audit()


@pytest.mark.parametrize(
    ("items", "pointer"),
    [
        ([], "/items"),
        ([{"product_id": UNKNOWN_ID, "quantity": 0}], "/items/0/quantity"),
        ([{"product_id": UNKNOWN_ID, "quantity": 1.5}], "/items/0/quantity"),
        ([{"product_id": UNKNOWN_ID, "quantity": "1"}], "/items/0/quantity"),
        ([{"product_id": "x", "quantity": 1}], "/items/0/product_id"),
        ([{"product_id": UNKNOWN_ID}], "/items/0/quantity"),
        ([{"product_id": UNKNOWN_ID, "quantity": 1, "unit_price": 1}], "/items/0/unit_price"),
        ([{"product_id": UNKNOWN_ID, "quantity": 1}] * 101, "/items"),
    ],
)
def test_invalid_items_are_a_400_that_names_the_property(
    alice: Client, items: object, pointer: str
) -> None:
    problem = assert_problem(alice.post(ORDERS, json={"items": items}), 400, "malformed_request")

    assert {pointer} == {error["pointer"] for error in problem["errors"]}


@pytest.mark.parametrize("key", ['""', '"', "a b", "x" * 256, '"a"b"', "\u00e9"])
def test_an_idempotency_key_must_be_visible_ascii(admin: Client, alice: Client, key: str) -> None:
    items = [{"product_id": add_product(admin)["id"], "quantity": 1}]
    headers = {"Idempotency-Key": key.encode("latin-1")}

    problem = assert_problem(
        alice.post(ORDERS, json={"items": items}, headers=headers), 400, "malformed_request"
    )

    assert "Idempotency-Key" == problem["errors"][0]["parameter"]


def test_an_order_keeps_its_shipping_address_and_note(admin: Client, alice: Client) -> None:
    mug = add_product(admin)
    note = "Mind the dog.\n\u72ac \U0001f415"

    response = place_order(alice, (mug, 1), shipping_address=LONDON, note=note)

    order = response.json()
    assert (LONDON, note) == (order["shipping_address"], order["note"])
    assert order == alice.get(f"{ORDERS}/{order['id']}").json()
    assert order == alice.get(ORDERS).json()["items"][0]


def test_shipping_address_and_note_are_optional(admin: Client, alice: Client) -> None:
    mug = add_product(admin)
    items = [{"product_id": mug["id"], "quantity": 1}]

    for optional in ({}, {"shipping_address": None, "note": None}):
        order = alice.post(ORDERS, json={"items": items, **optional}).json()
        assert (None, None) == (order["shipping_address"], order["note"])


def test_a_repeated_request_must_have_the_same_address_and_note(
    admin: Client, alice: Client
) -> None:
    mug = add_product(admin)
    details = {"shipping_address": LONDON, "note": "Please ring twice."}
    key = {"Idempotency-Key": "k"}
    first = place_order(alice, (mug, 1), **details, **key)
    cancel_order(alice, first.json())

    repeated = place_order(alice, (mug, 1), **details, **key)

    assert (201, "true", first.content) == (
        repeated.status_code,
        repeated.headers["idempotent-replayed"],
        repeated.content,
    )
    for changed in (
        {"note": "Please ring twice."},
        {"shipping_address": LONDON},
        {**details, "note": "Please ring once."},
        {**details, "shipping_address": {**LONDON, "city": "Paris"}},
        {**details, "shipping_address": {**LONDON, "addition": "3rd floor"}},
        {},
    ):
        response = place_order(alice, (mug, 1), **changed, **key)
        assert_problem(response, 422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("details", "pointer"),
    [
        ({"note": ""}, "/note"),
        ({"note": "x" * 1001}, "/note"),
        ({"note": "a\0b"}, "/note"),
        ({"shipping_address": {}}, "/shipping_address/recipient"),
        ({"shipping_address": {**LONDON, "country": "gb"}}, "/shipping_address/country"),
        ({"shipping_address": {**LONDON, "street": "a\nb"}}, "/shipping_address/street"),
        ({"shipping_address": {**LONDON, "city": " "}}, "/shipping_address/city"),
        ({"shipping_address": {**LONDON, "recipient": "x" * 101}}, "/shipping_address/recipient"),
        (
            {"shipping_address": {**LONDON, "postal_code": "\u0661"}},
            "/shipping_address/postal_code",
        ),
        ({"shipping_address": {**LONDON, "planet": "Mars"}}, "/shipping_address/planet"),
    ],
)
def test_an_invalid_address_or_note_is_a_400_that_names_the_property(
    alice: Client, details: dict[str, Any], pointer: str
) -> None:
    items = [{"product_id": UNKNOWN_ID, "quantity": 1}]

    response = alice.post(ORDERS, json={"items": items, **details})

    problem = assert_problem(response, 400, "malformed_request")
    assert pointer in {error["pointer"] for error in problem["errors"]}


def test_two_simultaneous_requests_with_the_same_key_place_one_order_in_each_of_200_rounds(
    admin: Client, alice: Client
) -> None:
    mug = add_product(admin, stock=1000)
    barrier = Barrier(2)

    def place_with_key(key: str) -> Any:
        barrier.wait()
        return place_order(alice, (mug, 1), **{"Idempotency-Key": key})

    outcomes: Counter[str] = Counter()
    with ThreadPoolExecutor(2) as pool:
        for number in range(200):
            responses = list(pool.map(place_with_key, [f"key-{number}"] * 2))
            placed = [response for response in responses if response.status_code == 201]
            assert 1 == len({response.content for response in placed})
            assert 1 == sum("idempotent-replayed" not in response.headers for response in placed)
            for response in responses:
                if response.status_code != 201:
                    assert_problem(response, 409, "idempotency_in_flight")
            outcomes["replayed" if len(placed) == 2 else "in flight"] += 1

    assert 200 == outcomes.total()
    assert 800 == get_stock(alice, mug)
    assert [] == audit()


def test_an_anonymous_request_is_401(anonymous: Client) -> None:
    assert_problem(anonymous.post(ORDERS, json={"items": []}), 401, "unauthenticated")
