"""GET /orders/export."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from httpx2 import Client

from handlers.order_export import COLUMNS
from tests.support.problems import assert_problem
from tests.support.shop import LONDON, ORDERS, add_product, place_order, update_status

EXPORT = f"{ORDERS}/export"


def rows(client: Client, **query: Any) -> list[dict[str, str]]:
    response = client.get(EXPORT, params=query)
    assert 200 == response.status_code, response.text
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


def test_the_export_has_one_row_for_each_line_item(
    admin: Client, alice: Client, bob: Client
) -> None:
    mug, lamp = add_product(admin, "MUG", 1990, 10), add_product(admin, "LAMP", 5, 10)
    first = place_order(
        alice, (mug, 3), (lamp, 2), shipping_address=LONDON, note='Say "hi",\nplease.'
    )
    second = place_order(bob, (lamp, 1)).json()
    update_status(admin, second, "PAID")

    response = admin.get(EXPORT)

    assert 200 == response.status_code
    assert "text/csv; charset=utf-8" == response.headers["content-type"]
    assert 'attachment; filename="orders.csv"' == response.headers["content-disposition"]
    assert response.content.endswith(b"\r\n")
    exported = rows(admin)
    assert list(COLUMNS) == list(exported[0])
    order = first.json()
    assert {
        "order_number": order["number"],
        "order_id": order["id"],
        "status": "PENDING",
        "created_at": order["created_at"],
        "customer_email": "alice@example.com",
        "customer_name": "Alice",
        "city": "London",
        "region": "",
        "note": 'Say "hi",\nplease.',
        "currency": "EUR",
        "order_total": "59.80",
        "line": "1",
        "sku": "MUG",
        "unit_price": "19.90",
        "quantity": "3",
        "subtotal": "59.70",
    }.items() <= exported[0].items()
    assert [("MUG", "59.70"), ("LAMP", "0.10"), ("LAMP", "0.05")] == [
        (row["sku"], row["subtotal"]) for row in exported
    ]
    assert "PAID" == exported[2]["status"]


def test_text_that_a_spreadsheet_would_run_as_a_formula_is_quoted(
    admin: Client, alice: Client
) -> None:
    formula = '=HYPERLINK("http://evil.example","free")'
    address = {**LONDON, "recipient": formula, "street": "@SUM(A1)", "city": "-1+1"}
    product = add_product(admin, name="+1 mug")

    place_order(alice, (product, 1), shipping_address=address, note="\t=1+1")

    (row,) = rows(admin)
    cells = [row[name] for name in ("recipient", "street", "city", "name", "note")]
    assert [f"'{formula}", "'@SUM(A1)", "'-1+1", "'+1 mug", "'\t'=1+1"] == cells


def test_the_export_has_the_same_filters_as_list_orders(
    admin: Client, alice: Client, bob: Client
) -> None:
    mug = add_product(admin, price=100, stock=1000)
    orders = [place_order(alice, (mug, quantity)).json() for quantity in (1, 2, 3)]
    orders.append(place_order(bob, (mug, 4)).json())
    update_status(admin, orders[1], "PAID")
    queries: list[dict[str, Any]] = [
        {},
        {"status": "PAID"},
        {"status": ["PAID", "CANCELLED"]},
        {"status": ["PENDING", "PAID"], "max_total": 300},
        {"min_total": 200},
        {"created_from": orders[1]["created_at"], "created_to": orders[3]["created_at"]},
        {"q": orders[2]["number"]},
        {"q": "nothing"},
        {"user_id": orders[3]["user_id"]},
    ]

    for query in queries:
        listed = admin.get(ORDERS, params={**query, "sort": "created_at"}).json()["items"]
        assert [order["id"] for order in listed] == [
            row["order_id"] for row in rows(admin, **query)
        ]


def test_an_export_of_several_batches_has_every_order_once(admin: Client, alice: Client) -> None:
    mug = add_product(admin, stock=1000)
    placed = [place_order(alice, (mug, 1)).json()["number"] for _ in range(405)]

    assert placed == [row["order_number"] for row in rows(admin)]


def test_an_export_without_orders_has_only_the_header(admin: Client) -> None:
    assert [",".join(f'"{name}"' for name in COLUMNS)] == admin.get(EXPORT).text.splitlines()


@pytest.mark.parametrize("query", ["status=LOST", "limit=5", "cursor=abc", "sort=total"])
def test_an_invalid_query_parameter_is_a_400(admin: Client, query: str) -> None:
    assert_problem(admin.get(f"{EXPORT}?{query}"), 400, "malformed_request")


def test_only_administrators_can_export_orders(alice: Client, anonymous: Client) -> None:
    assert_problem(alice.get(EXPORT), 403, "forbidden")
    assert_problem(anonymous.get(EXPORT), 401, "unauthenticated")


def test_other_methods_get_the_allow_header(admin: Client) -> None:
    assert "GET" == admin.post(EXPORT).headers["allow"]
