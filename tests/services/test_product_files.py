"""Imports of products beside whoever else changes them."""

from __future__ import annotations

import itertools
import threading

import pytest

from domain.actor import Actor
from domain.product_file import ImportReport, Line
from services import product_files, products
from tests.support.concurrency import run_concurrently
from tests.support.services import AddProduct

pytestmark = pytest.mark.usefixtures("audit_after_test")


def test_an_import_undoes_nothing_that_an_administrator_saves_meanwhile(
    admin: Actor, add_product: AddProduct
):
    product, stopped = add_product(), threading.Event()

    def go_on_importing() -> int:
        for number in itertools.count(1):
            # It says nothing of the description.
            line = Line(2, {"sku": product.sku, "name": product.name, "price": f"{number % 9}.00"})
            product_files.import_products(actor=admin, lines=[line])
            if stopped.is_set():
                return number
        raise AssertionError

    def save() -> list[str]:
        undone = []
        try:
            for number in range(300):
                text = f"As told {number}"
                products.update_product(
                    actor=admin,
                    product_id=product.id,
                    changes={"description": text},
                    expected_versions=None,
                )
                if products.get_product(product_id=product.id).description != text:
                    undone.append(text)
        finally:
            stopped.set()
        return undone

    imported, undone = run_concurrently(go_on_importing, save)

    assert [] == undone
    assert imported > 1


def test_of_two_imports_of_a_file_at_once_the_second_finds_all_as_it_is(admin: Actor):
    lines = [
        Line(number, {"sku": f"SKU-{number}", "name": "Thing", "price": "1.00", "stock": "5"})
        for number in range(2, 1002)
    ]

    def do() -> ImportReport:
        return product_files.import_products(actor=admin, lines=lines)

    one, other = run_concurrently(do, do)

    assert sorted([(1000, 0), (0, 1000)]) == sorted(
        (report.created, report.unchanged) for report in (one, other)
    )


def test_two_imports_in_opposite_order_never_wait_for_each_other_crosswise(
    admin: Actor, add_product: AddProduct
):
    skus = [add_product().sku for _ in range(600)]

    def do(order: list[str], price: str) -> ImportReport:
        lines = [
            Line(number, {"sku": sku, "name": "Thing", "price": price})
            for number, sku in enumerate(order, start=2)
        ]
        return product_files.import_products(actor=admin, lines=lines)

    reports = run_concurrently(lambda: do(skus, "1.00"), lambda: do(skus[::-1], "2.00"))

    assert [600, 600] == [report.updated for report in reports]
