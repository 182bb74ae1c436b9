"""The demo has the people, products, orders and payments of the contract's examples."""

from __future__ import annotations

from typing import Any

from services import demo, demo_data
from services.demo_data import ADA, ARTICLES, GRACE, PAID_ORDER
from tests.support.contract_requests import EXAMPLES


def test_the_people_are_those_of_the_examples():
    listed = EXAMPLES["two_users"]["items"]

    assert [(str(one.id), one.email, one.name, one.role) for one in (ADA, GRACE)] == [
        (user["id"], user["email"], user["name"], user["role"]) for user in listed
    ]


def test_ada_can_sign_in_as_in_the_examples():
    account = next(one for one in demo.ACCOUNTS if one.email == ADA.email)

    assert {"email": account.email, "password": account.password} == EXAMPLES["credentials"]


def test_the_products_are_those_of_the_examples():
    examples = EXAMPLES["two_products"]["items"] + EXAMPLES["archived_mug"]["items"]

    def facts(product: dict[str, Any]) -> tuple[object, ...]:
        price = product["price"]["amount"]
        return (*(product[key] for key in ("id", "sku", "name", "description")), price)

    articles = {article.sku: article for article in ARTICLES}
    for example in examples:
        article = articles[example["sku"]]
        assert facts(example) == (
            *(str(article.id), article.sku, article.name, article.description),
            article.price,
        )
        assert example["stock"] == article.stock


def test_the_ids_of_orders_payments_and_sessions_are_those_of_the_examples():
    order = EXAMPLES["order_paid"]

    assert (order["id"], order["number"], order["note"]) == (
        str(PAID_ORDER.id),
        PAID_ORDER.number,
        PAID_ORDER.note,
    )
    assert {(line["sku"], line["quantity"]) for line in order["items"]} == set(PAID_ORDER.lines)
    assert EXAMPLES["payment_id"] == str(PAID_ORDER.payment)
    assert EXAMPLES["unpaid_order_id"] == str(demo_data.UNPAID_ORDER.id)
    assert EXAMPLES["open_payment_id"] == str(demo_data.ORDER_BEING_PAID.payment)
    assert EXAMPLES["session_id"] == str(demo_data.ADAS_PHONE)
