"""Idempotency keys are kept for a day and then deleted."""

from __future__ import annotations

import pytest

from domain.actor import Actor
from services import idempotency_keys, orders
from tests.support.concurrency import run_concurrently
from tests.support.database import Sql
from tests.support.services import AddProduct

pytestmark = pytest.mark.usefixtures("audit_after_test")

AGE = "UPDATE idempotency_key SET created_at = created_at - %s * interval '1 minute'"


def test_a_key_is_valid_for_24_hours(client: Actor, add_product: AddProduct, sql: Sql):
    items = [(add_product().id, 1)]
    first = orders.create_order(actor=client, items=items, idempotency_key="k").order
    sql(AGE, 24 * 60 - 1)

    assert idempotency_keys.purge_idempotency_keys() == 0
    repeated = orders.create_order(actor=client, items=items, idempotency_key="k")
    assert (first.id, True) == (repeated.order.id, repeated.replayed)
    sql(AGE, 1)
    assert idempotency_keys.purge_idempotency_keys() == 1
    new = orders.create_order(actor=client, items=items, idempotency_key="k")
    assert (first.id == new.order.id, new.replayed) == (False, False)


def test_concurrent_workers_delete_every_old_key_once_and_no_other(
    client: Actor, add_product: AddProduct, sql: Sql
):
    orders.create_order(actor=client, items=[(add_product().id, 1)], idempotency_key="young")
    sql(
        "INSERT INTO idempotency_key SELECT user_id, 'old-' || n, sha256('x'), id,"
        " now() - interval '2 days' FROM generate_series(1, 3000) AS n, orders"
    )

    def worker() -> int:
        done = 0
        while deleted := idempotency_keys.purge_idempotency_keys():
            done += deleted
        return done

    assert sum([*run_concurrently(*[worker] * 4), worker()]) == 3000
    assert sql("SELECT key FROM idempotency_key") == [("young",)]
