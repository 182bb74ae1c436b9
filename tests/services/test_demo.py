"""The demo fills an empty shop with products and accounts, and changes no other shop."""

from __future__ import annotations

from dataclasses import replace

from domain.actor import ADMIN, Actor
from domain.order_status import STATUSES
from services import demo, orders, process, products, sessions
from services.audit import audit
from services.process import configuration
from tests.support.concurrency import run_concurrently
from tests.support.services import AddProduct


def test_an_empty_shop_is_filled_once(anonymous: Actor):
    first, second = demo.fill(), demo.fill()

    assert first.products >= 20
    assert second == demo.Demo(0, first.accounts)
    listed = products.list_products(limit=100).items
    archived = products.list_archived_products(limit=100).items
    assert len(listed) + len(archived) == first.products
    assert {product.stock > 0 for product in listed} == {True, False}
    assert audit() == []


def test_the_demo_has_orders_in_every_status(anonymous: Actor):
    demo.fill()

    found = orders.list_orders(actor=anonymous._replace(role=ADMIN), limit=100).items

    assert {order.status for order in found} == set(STATUSES)
    assert len({order.user_id for order in found}) > 2


def test_the_demo_accounts_can_sign_in(anonymous: Actor):
    for email, password, role in demo.fill().accounts:
        assert sessions.login(actor=anonymous, email=email, password=password).user.role == role


def test_filling_again_is_not_limited_by_the_registration_rate_limit(anonymous: Actor):
    process.bind(replace(configuration(), registration_limit=1))

    assert [demo.fill().accounts for _ in range(3)] == [demo.ACCOUNTS] * 3


def test_a_shop_that_has_or_had_products_gets_no_demo_products(
    admin: Actor, add_product: AddProduct
):
    mug = add_product()
    products.archive_product(actor=admin, product_id=mug.id, expected_versions=None)

    assert demo.fill().products == 0
    assert products.list_products(limit=100).items == []


def test_concurrent_calls_fill_the_shop_once(anonymous: Actor):
    outcomes = run_concurrently(*[demo.fill] * 4)

    listed = products.list_products(limit=100).items
    archived = products.list_archived_products(limit=100).items
    assert sum(outcome.products for outcome in outcomes) == len(listed) + len(archived)
