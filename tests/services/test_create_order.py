"""Placing orders: atomically, once per idempotency key, and never more than the stock."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from uuid import UUID, uuid4

import psycopg2
import pytest

from domain import money, order_number
from domain.actor import Actor
from domain.errors import (
    AmountOverflow,
    IdempotencyInFlight,
    IdempotencyKeyReused,
    InsufficientStock,
    ProductsUnavailable,
    SessionExpired,
    Unavailable,
    UnavailableLine,
    UnderstockedLine,
)
from models import placement
from services import orders, products
from tests.support.concurrency import count_unlocked_while_waiting, run_concurrently
from tests.support.database import Sql
from tests.support.services import AddProduct, make_actor

pytestmark = pytest.mark.usefixtures("audit_after_test")


def place(actor: Actor, *items: tuple[UUID, int], key: str | None = None) -> orders.PlacedOrder:
    return orders.create_order(actor=actor, items=items, idempotency_key=key)


def stock_of(*product_ids: UUID) -> list[int]:
    return [products.get_product(product_id=product_id).stock for product_id in product_ids]


def test_an_order_reduces_the_stock_and_stores_names_and_prices(
    client: Actor, add_product: AddProduct
):
    mug, lamp = add_product(10, 1990, name="Mug"), add_product(5, 4999, name="Lamp")

    order, replayed = place(client, (mug.id, 2), (lamp.id, 1))

    assert not replayed
    assert (2 * 1990 + 4999, "EUR", "PENDING", 1) == (
        order.total,
        order.currency,
        order.status,
        order.version,
    )
    assert [("Mug", 1990, 2, 3980), ("Lamp", 4999, 1, 4999)] == [
        (item.name, item.unit_price, item.quantity, item.subtotal) for item in order.items
    ]
    assert order_number.normalise(order.number) == order.number
    assert stock_of(mug.id, lamp.id) == [8, 4]
    assert order == orders.get_order(actor=client, order_id=order.id)


def test_line_items_keep_the_sequence_of_the_request(client: Actor, add_product: AddProduct):
    product_ids = [add_product().id for _ in range(12)]
    random.shuffle(product_ids)

    order = place(client, *((product_id, 1) for product_id in product_ids)).order

    assert product_ids == [item.product_id for item in order.items]
    assert order == orders.get_order(actor=client, order_id=order.id)


def test_lines_with_the_same_product_are_added_up(client: Actor, add_product: AddProduct):
    mug, lamp = add_product(3), add_product()

    order = place(client, (mug.id, 1), (lamp.id, 1), (mug.id, 2)).order

    assert [(mug.id, 3), (lamp.id, 1)] == [(item.product_id, item.quantity) for item in order.items]
    with pytest.raises(InsufficientStock) as caught:
        place(client, (lamp.id, 5), (lamp.id, 5))
    assert caught.value.lines == [UnderstockedLine(lamp.id, 10, 9)]


def test_all_products_with_insufficient_stock_are_listed_and_nothing_is_stored(
    client: Actor, add_product: AddProduct, sql: Sql
):
    mug, lamp, chair = add_product(1), add_product(10), add_product(0)

    with pytest.raises(InsufficientStock) as caught:
        place(client, (mug.id, 2), (lamp.id, 10), (chair.id, 1), key="k")

    assert caught.value.lines == [UnderstockedLine(mug.id, 2, 1), UnderstockedLine(chair.id, 1, 0)]
    assert stock_of(mug.id, lamp.id, chair.id) == [1, 10, 0]
    for table in ("orders", "order_item", "order_event", "idempotency_key"):
        assert sql(f"SELECT count(*) FROM {table}") == [(0,)]


def test_a_rejected_order_does_not_use_up_its_idempotency_key(
    client: Actor, add_product: AddProduct
):
    mug = add_product(1)
    with pytest.raises(InsufficientStock):
        place(client, (mug.id, 2), key="k")

    assert not place(client, (mug.id, 1), key="k").replayed


def test_all_archived_and_unknown_products_are_listed(
    client: Actor, admin: Actor, add_product: AddProduct
):
    mug, archived, unknown = add_product(), add_product(), uuid4()
    products.archive_product(actor=admin, product_id=archived.id, expected_versions=None)

    with pytest.raises(ProductsUnavailable) as caught:
        place(client, (unknown, 1), (mug.id, 1), (archived.id, 99))

    assert caught.value.lines == [UnavailableLine(unknown, 1), UnavailableLine(archived.id, 99)]
    assert stock_of(mug.id) == [10]


def test_a_later_price_change_does_not_change_an_order(
    client: Actor, admin: Actor, add_product: AddProduct
):
    mug = add_product(price=1990)
    order = place(client, (mug.id, 1)).order
    products.update_product(
        actor=admin,
        product_id=mug.id,
        changes={"price": 1, "name": "Other", "sku": "OTHER"},
        expected_versions=None,
    )

    assert order == orders.get_order(actor=client, order_id=order.id)
    assert place(client, (mug.id, 1)).order.total == 1


def test_the_maximum_total_is_accepted_and_a_larger_total_is_rejected(
    client: Actor, add_product: AddProduct
):
    expensive, cheap = add_product(5000, price=money.MAX_AMOUNT), add_product(price=1)

    assert place(client, (expensive.id, 1)).order.total == money.MAX_AMOUNT
    # The last total does not fit in PostgreSQL's bigint.
    for lines in (
        [(expensive.id, 2)],
        [(expensive.id, 1), (cheap.id, 1)],
        [(expensive.id, 4000), (cheap.id, 1)],
    ):
        with pytest.raises(AmountOverflow):
            place(client, *lines)
    assert stock_of(expensive.id, cheap.id) == [4999, 10]


def test_an_order_can_cost_nothing(client: Actor, add_product: AddProduct):
    assert place(client, (add_product(price=0).id, 3)).order.total == 0


def test_an_actor_without_an_account_cannot_place_an_order(
    anonymous: Actor, add_product: AddProduct
):
    mug = add_product()

    for actor in (anonymous, make_actor(uuid4(), "CLIENT")):
        with pytest.raises(SessionExpired):
            place(actor, (mug.id, 1), key="k")
    assert stock_of(mug.id) == [10]


def test_a_repeated_key_returns_the_order_as_it_was_placed(
    client: Actor, admin: Actor, add_product: AddProduct
):
    mug = add_product(3)
    first = place(client, (mug.id, 1), (mug.id, 2), key="k")
    for status, tracking_number in (("PAID", None), ("SHIPPED", "TRACK-1")):
        orders.update_order_status(
            actor=admin,
            order_id=first.order.id,
            status=status,
            tracking_number=tracking_number,
            expected_versions=None,
        )

    repeated = place(client, (mug.id, 1), (mug.id, 2), key="k")

    assert repeated == first._replace(replayed=True)
    assert stock_of(mug.id) == [0]


def test_the_same_key_with_another_order_is_rejected(client: Actor, add_product: AddProduct):
    mug, lamp = add_product(), add_product()
    place(client, (mug.id, 1), key="k")

    for lines in ([(mug.id, 2)], [(lamp.id, 1)], [(mug.id, 1), (lamp.id, 1)], [(lamp.id, 99)]):
        with pytest.raises(IdempotencyKeyReused):
            place(client, *lines, key="k")
    assert stock_of(mug.id, lamp.id) == [9, 10]


def test_two_customers_can_use_the_same_key(
    new_client: Callable[[], Actor], add_product: AddProduct
):
    mug, first, second = add_product(), new_client(), new_client()

    assert (
        place(first, (mug.id, 1), key="k").order.id != place(second, (mug.id, 1), key="k").order.id
    )


def test_concurrent_requests_with_one_key_place_one_order(client: Actor, add_product: AddProduct):
    mug = add_product(100)

    for key in ("k1", "k2", "k3"):
        placed = run_concurrently(*[lambda key=key: place(client, (mug.id, 1), key=key)] * 16)

        assert Counter(result.replayed for result in placed) == {False: 1, True: 15}
        assert len({result._replace(replayed=False) for result in placed}) == 1
    assert stock_of(mug.id) == [97]


def test_concurrent_different_requests_with_one_key_place_one_order(
    client: Actor, add_product: AddProduct
):
    product_ids = [add_product().id for _ in range(8)]

    outcomes = run_concurrently(
        *(
            lambda product_id=product_id: place(client, (product_id, 1), key="k")
            for product_id in product_ids
        )
    )

    assert Counter(map(type, outcomes)) == {orders.PlacedOrder: 1, IdempotencyKeyReused: 7}
    assert sum(stock_of(*product_ids)) == 79


def test_a_repeated_request_does_not_wait_for_the_stock_lock(
    client: Actor, add_product: AddProduct, database_url: str
):
    mug = add_product()
    first = place(client, (mug.id, 1), key="k")
    with closing(psycopg2.connect(database_url)) as locking:
        locking.cursor().execute("SELECT FROM stock FOR UPDATE")

        second = place(client, (mug.id, 1), key="k")
        with pytest.raises(Unavailable):
            place(client, (mug.id, 1), key="another")

    assert second.replayed
    assert second.order == first.order


def test_created_at_is_the_time_after_the_order_has_waited_for_its_locks(
    client: Actor, add_product: AddProduct, database_url: str
):
    """A client that polls with `created_from` would otherwise miss the order."""
    mug = add_product()
    with (
        closing(psycopg2.connect(database_url)) as locking,
        closing(psycopg2.connect(database_url)) as monitor,
        ThreadPoolExecutor(1) as pool,
    ):
        monitor.autocommit = True
        cursor = monitor.cursor()
        locking.cursor().execute("SELECT FROM stock FOR UPDATE")
        waiting = pool.submit(place, client, (mug.id, 1))
        blocked = False
        while not blocked:
            cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
            (blocked,) = cursor.fetchone()
        cursor.execute("SELECT clock_timestamp()")
        (before_unlock,) = cursor.fetchone()
        locking.rollback()

        assert waiting.result().order.created_at > before_unlock


def test_a_request_waits_a_limited_time_for_another_request_with_its_key(
    client: Actor, add_product: AddProduct, database_url: str
):
    """The first request hangs after it inserted the key; the second fails and changes nothing."""
    mug, lamp = add_product(), add_product()
    hanging = psycopg2.connect(database_url)
    parameters = {
        "order_id": str(uuid4()),
        "number": order_number.new(),
        "user_id": str(client.user_id),
    }
    hanging.cursor().execute(
        placement.PLACE.sql,
        parameters
        | {
            "currency": "EUR",
            "line_count": 1,
            "product_ids": placement.uuid_array([mug.id]),
            "quantities": placement.integer_array([1]),
            "movement_ids": placement.uuid_array([uuid4()]),
            "event_id": str(uuid4()),
            "request_id": "hanging",
            "key": "k",
            "fingerprint": b"x" * 32,
            "shipping_address": None,
            "note": None,
            "sends_mail": False,
        },
    )

    with pytest.raises(IdempotencyInFlight):
        place(client, (lamp.id, 1), key="k")

    hanging.rollback()
    hanging.close()
    assert not place(client, (lamp.id, 1), key="k").replayed


def test_of_64_concurrent_orders_for_20_units_exactly_20_succeed(
    new_client: Callable[[], Actor], add_product: AddProduct, sql: Sql
):
    mug, buyers = add_product(20), [new_client() for _ in range(64)]

    outcomes = run_concurrently(
        *(lambda buyer=buyer: place(buyer, (mug.id, 1)) for buyer in buyers)
    )

    assert Counter(map(type, outcomes)) == {orders.PlacedOrder: 20, InsufficientStock: 44}
    assert stock_of(mug.id) == [0]
    rows = sql(
        "SELECT quantity_after FROM stock_movement WHERE kind = 'ORDER' ORDER BY created_at, id"
    )
    assert [quantity_after for (quantity_after,) in rows] == list(range(19, -1, -1))


def test_an_order_does_not_wait_for_the_lock_of_another_product(
    client: Actor, add_product: AddProduct, database_url: str
):
    locked, other = add_product(), add_product()
    locking = psycopg2.connect(database_url)
    locking.cursor().execute("SELECT FROM stock WHERE product_id = %s FOR UPDATE", (locked.id,))

    place(client, (other.id, 1), key="k1")
    with pytest.raises(Unavailable):
        place(client, (locked.id, 1), key="k2")

    locking.close()
    assert not place(client, (locked.id, 1), key="k2").replayed


def test_a_request_whose_connection_was_lost_can_be_repeated_with_its_key(
    client: Actor, add_product: AddProduct, database_url: str, sql: Sql
):
    mug = add_product()
    locking = psycopg2.connect(database_url)
    locking.cursor().execute("SELECT FROM stock FOR UPDATE")

    def kill() -> None:
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while not (found := sql(waiting)):
            time.sleep(0.01)
        sql("SELECT pg_terminate_backend(%s, 1000)", found[0][0])
        locking.close()

    lost, _ = run_concurrently(lambda: place(client, (mug.id, 1), key="k"), kill)

    assert isinstance(lost, Unavailable)
    assert not place(client, (mug.id, 1), key="k").replayed
    assert place(client, (mug.id, 1), key="k").replayed
    assert stock_of(mug.id) == [9]


@pytest.mark.parametrize("reverse", [False, True])
def test_stock_rows_are_locked_in_the_sequence_of_their_ids(
    client: Actor, add_product: AddProduct, database_url: str, reverse: bool
):
    """An order that waits for its first product has not locked the later ones yet."""
    product_ids = sorted(add_product().id for _ in range(4))
    lines = [(product_id, 1) for product_id in (product_ids[::-1] if reverse else product_ids)]

    placed, unlocked = count_unlocked_while_waiting(
        database_url, lambda: place(client, *lines), product_ids[0], product_ids[1:]
    )

    assert isinstance(placed, orders.PlacedOrder)
    assert unlocked == 3


def test_concurrent_orders_of_the_same_products_in_any_sequence_do_not_deadlock(
    new_client: Callable[[], Actor], add_product: AddProduct, sql: Sql
):
    product_ids = [add_product(1000).id for _ in range(6)]
    buyers = [new_client() for _ in range(16)]
    deadlocks_before = sql(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )

    def place_orders(buyer: Actor, seed: int) -> None:
        generator = random.Random(seed)
        for _ in range(12):
            sample = generator.sample(product_ids, len(product_ids))
            place(buyer, *((product_id, generator.randint(1, 3)) for product_id in sample))

    outcomes = run_concurrently(
        *(lambda n=n: place_orders(buyers[n], n) for n in range(len(buyers)))
    )

    assert outcomes == [None] * len(buyers)
    sql("SELECT pg_stat_force_next_flush()")
    assert deadlocks_before == sql(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )


def test_concurrent_orders_and_cancellations_keep_stock_and_movements_consistent(
    admin: Actor, new_client: Callable[[], Actor], add_product: AddProduct
):
    product_ids = [add_product(8).id for _ in range(3)]
    buyers = [new_client() for _ in range(12)]
    rejections: list[InsufficientStock] = []

    def place_and_cancel(buyer: Actor, seed: int) -> None:
        generator = random.Random(seed)
        for _ in range(10):
            try:
                order = place(
                    buyer, *((product_id, 1) for product_id in generator.sample(product_ids, 2))
                ).order
            except InsufficientStock as error:
                rejections.append(error)
                continue
            orders.update_order_status(
                actor=admin,
                order_id=order.id,
                status="CANCELLED",
                tracking_number=None,
                expected_versions=None,
            )

    assert (
        run_concurrently(*(lambda n=n: place_and_cancel(buyers[n], n) for n in range(12)))
        == [None] * 12
    )
    assert all(error.lines for error in rejections)
    assert stock_of(*product_ids) == [8, 8, 8]


def test_an_order_number_in_use_is_replaced(
    client: Actor, add_product: AddProduct, monkeypatch: pytest.MonkeyPatch
):
    mug = add_product()
    taken = place(client, (mug.id, 1)).order.number
    numbers = iter([taken, taken, "ORD-0000-0001"])
    monkeypatch.setattr(order_number, "new", lambda: next(numbers))

    assert place(client, (mug.id, 1), key="k").order.number == "ORD-0000-0001"
    assert stock_of(mug.id) == [8]


def test_the_event_and_the_stock_movement_have_the_request_id(
    client: Actor, add_product: AddProduct, sql: Sql
):
    mug = add_product()
    order = place(client._replace(request_id="request-7"), (mug.id, 4)).order

    (event,) = orders.list_order_events(actor=client, order_id=order.id, limit=9).items
    assert ("PLACED", None, "PENDING", "PERSON", client.user_id, "request-7") == event[1:7]
    assert event.created_at == order.created_at
    assert sql(
        "SELECT delta, quantity_after, request_id FROM stock_movement WHERE kind = 'ORDER'"
    ) == [(-4, 6, "request-7")]
