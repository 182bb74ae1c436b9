"""Imports of products that run concurrently with other changes."""

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


def test_an_import_does_not_overwrite_a_concurrent_change_of_another_property(
    admin: Actor, add_product: AddProduct
):
    product, stopped = add_product(), threading.Event()

    def import_repeatedly() -> int:
        for number in itertools.count(1):
            # The line has no description, so the import must not change it.
            line = Line(2, {"sku": product.sku, "name": product.name, "price": f"{number % 9}.00"})
            product_files.import_products(actor=admin, lines=[line])
            if stopped.is_set():
                return number
        raise AssertionError

    def save() -> list[str]:
        overwritten = []
        try:
            for number in range(300):
                text = f"Description {number}"
                products.update_product(
                    actor=admin,
                    product_id=product.id,
                    changes={"description": text},
                    expected_versions=None,
                )
                if products.get_product(product_id=product.id).description != text:
                    overwritten.append(text)
        finally:
            stopped.set()
        return overwritten

    imported, overwritten = run_concurrently(import_repeatedly, save)

    assert [] == overwritten
    assert imported > 1


def test_of_two_concurrent_imports_of_one_file_the_second_changes_nothing(admin: Actor):
    lines = [
        Line(number, {"sku": f"SKU-{number}", "name": "Thing", "price": "1.00", "stock": "5"})
        for number in range(2, 1002)
    ]

    def import_file() -> ImportReport:
        return product_files.import_products(actor=admin, lines=lines)

    reports = run_concurrently(import_file, import_file)

    assert sorted([(1000, 0), (0, 1000)]) == sorted(
        (report.created, report.unchanged) for report in reports
    )


def test_two_concurrent_imports_in_opposite_sequence_do_not_deadlock(
    admin: Actor, add_product: AddProduct
):
    skus = [add_product().sku for _ in range(600)]

    def import_skus(skus: list[str], price: str) -> ImportReport:
        lines = [
            Line(number, {"sku": sku, "name": "Thing", "price": price})
            for number, sku in enumerate(skus, start=2)
        ]
        return product_files.import_products(actor=admin, lines=lines)

    reports = run_concurrently(
        lambda: import_skus(skus, "1.00"), lambda: import_skus(skus[::-1], "2.00")
    )

    assert [600, 600] == [report.updated for report in reports]
