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

NOWHERE = "0192f0c1-7e2a-7b31-8c55-5d0a1f4be111"


def test_an_order_has_exact_totals_and_takes_the_stock(admin: Client, alice: Client) -> None:
    mug, lamp = add_product(admin, "MUG", 1990, 10), add_product(admin, "LAMP", 4999, 5)

    answer = place_order(alice, (mug, 3), (lamp, 2))

    assert 201 == answer.status_code, answer.text
    order = answer.json()
    assert {"amount": 3 * 1990 + 2 * 4999, "currency": "EUR"} == order["total"]
    assert [("MUG", 3, 5970), ("LAMP", 2, 9998)] == [
        (item["sku"], item["quantity"], item["subtotal"]["amount"]) for item in order["items"]
    ]
    assert ("PENDING", None) == (order["status"], order["tracking_number"])
    assert (7, 3) == (get_stock(alice, mug), get_stock(alice, lamp))
    read = alice.get(answer.headers["location"])
    assert (order, answer.headers["etag"]) == (read.json(), read.headers["etag"])
    assert [] == audit()


def test_an_order_keeps_what_its_products_were(admin: Client, alice: Client) -> None:
    mug = add_product(admin, "MUG", 1990, 10)
    order = place_order(alice, (mug, 1)).json()

    price = {"amount": 1, "currency": "EUR"}
    admin.patch(f"/api/v1/products/{mug['id']}", json={"name": "New", "sku": "NEW", "price": price})

    assert order == alice.get(f"{ORDERS}/{order['id']}").json()


def test_a_product_on_two_lines_is_summed_before_stock_is_checked(
    admin: Client, alice: Client
) -> None:
    mug = add_product(admin, stock=5)

    refused = assert_problem(place_order(alice, (mug, 3), (mug, 3)), 409, "insufficient_stock")

    assert [{"product_id": mug["id"], "requested": 6, "available": 5}] == refused["lines"]
    assert 5 == get_stock(alice, mug)
    assert 201 == place_order(alice, (mug, 3), (mug, 2)).status_code
    assert 0 == get_stock(alice, mug)


def test_a_sum_may_be_more_than_one_line_may_ask_for(admin: Client, alice: Client) -> None:
    mug = add_product(admin, price=1, stock=30_000)

    order = place_order(alice, (mug, 10_000), (mug, 10_000), (mug, 5)).json()

    assert [20_005] == [item["quantity"] for item in order["items"]]
    assert 20_005 == order["total"]["amount"]
    assert order == alice.get(f"{ORDERS}/{order['id']}").json()


def test_every_short_line_is_named_and_nothing_is_taken(admin: Client, alice: Client) -> None:
    mug, lamp, cup = (add_product(admin, sku, stock=2) for sku in ("MUG", "LAMP", "CUP"))

    refused = assert_problem(
        place_order(alice, (mug, 3), (lamp, 1), (cup, 9)), 409, "insufficient_stock"
    )

    assert {(mug["id"], 3, 2), (cup["id"], 9, 2)} == {
        (one["product_id"], one["requested"], one["available"]) for one in refused["lines"]
    }
    assert [2, 2, 2] == [get_stock(alice, one) for one in (mug, lamp, cup)]
    assert [] == alice.get(ORDERS).json()["items"]


def test_an_unknown_product_is_named(admin: Client, alice: Client) -> None:
    mug = add_product(admin)

    refused = assert_problem(
        place_order(alice, (mug, 1), ({"id": NOWHERE}, 1)), 409, "products_unavailable"
    )

    assert [{"product_id": NOWHERE, "requested": 1}] == refused["lines"]
    assert 10 == get_stock(alice, mug)


def test_what_is_short_is_named_beside_what_is_unknown(admin: Client, alice: Client) -> None:
    mug = add_product(admin)

    refused = assert_problem(
        place_order(alice, (mug, 11), ({"id": NOWHERE}, 1)), 409, "products_unavailable"
    )

    assert [
        {"product_id": NOWHERE, "requested": 1},
        {"product_id": mug["id"], "requested": 11, "available": 10},
    ] == refused["lines"]
    assert 10 == get_stock(alice, mug)


def test_sixty_four_buyers_of_twenty_get_twenty(
    admin: Client, alice: Client, new_client: Callable[[str], Client]
) -> None:
    mug = add_product(admin, stock=20)
    buyers = [alice, *(new_client(f"buyer{number}") for number in range(7))]

    with ThreadPoolExecutor(64) as pool:
        answers = list(
            pool.map(lambda number: place_order(buyers[number % 8], (mug, 1)), range(64))
        )

    sold = [one for one in answers if one.status_code == 201]
    refused = [one for one in answers if one.status_code != 201]
    assert (20, 44) == (len(sold), len(refused))
    for one in refused:
        lines = assert_problem(one, 409, "insufficient_stock")["lines"]
        assert [{"product_id": mug["id"], "requested": 1, "available": 0}] == lines
    assert 0 == get_stock(alice, mug)
    assert 20 == len({one.json()["number"] for one in sold})
    assert [] == audit()


def test_what_comes_in_while_an_order_waits_for_its_stock_can_be_had(
    admin: Client, alice: Client, database_url: str
) -> None:
    """At the price that it comes in for."""
    mug = add_product(admin, price=1000, stock=1)
    with (
        closing(psycopg2.connect(database_url)) as other,
        closing(psycopg2.connect(database_url)) as watch,
        ThreadPoolExecutor(1) as pool,
    ):
        watch.autocommit = True
        looking, delivering = watch.cursor(), other.cursor()
        delivering.execute("SELECT FROM stock FOR UPDATE")
        waiting = pool.submit(place_order, alice, (mug, 3))
        blocked = False
        while not blocked:
            looking.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
            (blocked,) = looking.fetchone()
        dearer = {"price": {"amount": 2000, "currency": "EUR"}}
        assert 200 == admin.patch(f"/api/v1/products/{mug['id']}", json=dearer).status_code
        delivering.execute("UPDATE stock SET quantity = quantity + 4")
        delivering.execute(
            "INSERT INTO stock_movement (id, product_id, kind, delta, quantity_after, request_id,"
            " created_at) SELECT gen_random_uuid(), product_id, 'ADJUSTMENT', 4, quantity, 'test',"
            " now() FROM stock"
        )
        other.commit()

        answer = waiting.result()

    assert 201 == answer.status_code, answer.text
    assert 6000 == answer.json()["total"]["amount"]
    assert 2 == get_stock(alice, mug)
    assert [] == audit()


def test_quotes_are_part_of_a_key_unless_they_are_around_it(admin: Client, alice: Client) -> None:
    mug = add_product(admin)

    numbers = {
        place_order(alice, (mug, 1), **{"Idempotency-Key": key}).json()["number"]
        for key in ("k", '"k"', 'k"', 'k""')
    }

    assert 3 == len(numbers)


def test_repeating_a_request_gives_the_first_answer(admin: Client, alice: Client) -> None:
    mug = add_product(admin)
    first = place_order(alice, (mug, 2), **{"Idempotency-Key": '"checkout-1"'})
    order = first.json()
    admin.put(f"{ORDERS}/{order['id']}/status", json={"status": "PAID"})

    second = place_order(alice, (mug, 2), **{"Idempotency-Key": "checkout-1"})

    assert (201, order) == (second.status_code, second.json())
    assert "true" == second.headers["idempotent-replayed"]
    assert "idempotent-replayed" not in first.headers
    assert 8 == get_stock(alice, mug)


def test_a_key_stands_for_one_request(admin: Client, alice: Client, bob: Client) -> None:
    mug = add_product(admin)
    key = {"Idempotency-Key": "k"}
    first = place_order(alice, (mug, 1), **key)

    assert_problem(place_order(alice, (mug, 2), **key), 422, "idempotency_key_reused")
    other = place_order(bob, (mug, 2), **key)
    assert 201 == other.status_code
    assert first.json()["id"] != other.json()["id"]


def test_a_key_of_a_refused_order_can_be_used_again(admin: Client, alice: Client) -> None:
    mug = add_product(admin, stock=1)
    key = {"Idempotency-Key": "k"}
    assert_problem(place_order(alice, (mug, 2), **key), 409, "insufficient_stock")

    assert 201 == place_order(alice, (mug, 1), **key).status_code


def test_two_first_requests_make_one_order(admin: Client, alice: Client) -> None:
    mug = add_product(admin, stock=100)
    with ThreadPoolExecutor(8) as pool:
        for number in range(12):
            key = {"Idempotency-Key": f"key-{number}"}
            answers = list(
                pool.map(lambda _, key=key: place_order(alice, (mug, 1), **key), range(4))
            )
            placed = {one.json()["id"] for one in answers if one.status_code == 201}
            assert 1 == len(placed)
            for one in answers:
                if one.status_code != 201:
                    assert_problem(one, 409, "idempotency_in_flight")

    assert 100 - 12 == get_stock(alice, mug)
    assert [] == audit()


@pytest.mark.parametrize(
    ("items", "pointer"),
    [
        ([], "/items"),
        ([{"product_id": NOWHERE, "quantity": 0}], "/items/0/quantity"),
        ([{"product_id": NOWHERE, "quantity": 1.5}], "/items/0/quantity"),
        ([{"product_id": NOWHERE, "quantity": "1"}], "/items/0/quantity"),
        ([{"product_id": "x", "quantity": 1}], "/items/0/product_id"),
        ([{"product_id": NOWHERE}], "/items/0/quantity"),
        ([{"product_id": NOWHERE, "quantity": 1, "unit_price": 1}], "/items/0/unit_price"),
        ([{"product_id": NOWHERE, "quantity": 1}] * 101, "/items"),
    ],
)
def test_what_does_not_fit_is_named(alice: Client, items: object, pointer: str) -> None:
    refused = assert_problem(alice.post(ORDERS, json={"items": items}), 400, "malformed_request")

    assert {pointer} == {one["pointer"] for one in refused["errors"]}


@pytest.mark.parametrize("key", ['""', '"', "a b", "x" * 256, '"a"b"', "\u00e9"])
def test_a_key_is_visible_ascii(admin: Client, alice: Client, key: str) -> None:
    items = [{"product_id": add_product(admin)["id"], "quantity": 1}]
    headers = {"Idempotency-Key": key.encode("latin-1")}

    refused = assert_problem(
        alice.post(ORDERS, json={"items": items}, headers=headers), 400, "malformed_request"
    )

    assert "Idempotency-Key" == refused["errors"][0]["parameter"]


def test_where_it_goes_and_what_is_to_be_said_stay_with_it(admin: Client, alice: Client) -> None:
    mug = add_product(admin)
    note = "Mind the dog.\n\u72ac \U0001f415"

    answer = place_order(alice, (mug, 1), shipping_address=LONDON, note=note)

    order = answer.json()
    assert (LONDON, note) == (order["shipping_address"], order["note"])
    assert order == alice.get(f"{ORDERS}/{order['id']}").json()
    assert order == alice.get(ORDERS).json()["items"][0]


def test_an_order_without_either_is_collected_in_silence(admin: Client, alice: Client) -> None:
    mug = add_product(admin)
    items = [{"product_id": mug["id"], "quantity": 1}]

    for more in ({}, {"shipping_address": None, "note": None}):
        order = alice.post(ORDERS, json={"items": items, **more}).json()
        assert (None, None) == (order["shipping_address"], order["note"])


def test_a_repeated_request_has_the_same_address_and_note(admin: Client, alice: Client) -> None:
    mug = add_product(admin)
    said = {"shipping_address": LONDON, "note": "Please ring twice."}
    key = {"Idempotency-Key": "k"}
    first = place_order(alice, (mug, 1), **said, **key)
    cancel_order(alice, first.json())

    again = place_order(alice, (mug, 1), **said, **key)

    assert (201, "true", first.content) == (
        again.status_code,
        again.headers["idempotent-replayed"],
        again.content,
    )
    for other in (
        {"note": "Please ring twice."},
        {"shipping_address": LONDON},
        {**said, "note": "Please ring once."},
        {**said, "shipping_address": {**LONDON, "city": "Paris"}},
        {**said, "shipping_address": {**LONDON, "addition": "3rd floor"}},
        {},
    ):
        refused = place_order(alice, (mug, 1), **other, **key)
        assert_problem(refused, 422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("more", "pointer"),
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
def test_an_address_or_note_that_does_not_fit_is_named(
    alice: Client, more: dict[str, Any], pointer: str
) -> None:
    items = [{"product_id": NOWHERE, "quantity": 1}]

    answer = alice.post(ORDERS, json={"items": items, **more})

    refused = assert_problem(answer, 400, "malformed_request")
    assert pointer in {one["pointer"] for one in refused["errors"]}


def test_two_first_requests_at_the_same_instant_make_one_order_two_hundred_times(
    admin: Client, alice: Client
) -> None:
    mug = add_product(admin, stock=1000)
    instant = Barrier(2)

    def first(key: str) -> Any:
        instant.wait()
        return place_order(alice, (mug, 1), **{"Idempotency-Key": key})

    told: Counter[str] = Counter()
    with ThreadPoolExecutor(2) as pool:
        for number in range(200):
            answers = list(pool.map(first, [f"key-{number}"] * 2))
            placed = [one for one in answers if one.status_code == 201]
            assert 1 == len({one.content for one in placed})
            assert 1 == sum("idempotent-replayed" not in one.headers for one in placed)
            for one in answers:
                if one.status_code != 201:
                    assert_problem(one, 409, "idempotency_in_flight")
            told["replayed" if len(placed) == 2 else "in flight"] += 1

    assert 200 == told.total()
    assert 800 == get_stock(alice, mug)
    assert [] == audit()


def test_nobody_in_particular_cannot_order(anonymous: Client) -> None:
    assert_problem(anonymous.post(ORDERS, json={"items": []}), 401, "unauthenticated")
