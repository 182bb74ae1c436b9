"""Placing orders: all or nothing, once per key, and never more than there is."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
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
    ShortLine,
    Unavailable,
    UnavailableLine,
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


def test_an_order_takes_stock_and_remembers_prices(client: Actor, add_product: AddProduct):
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
    assert order_number.normalised(order.number) == order.number
    assert stock_of(mug.id, lamp.id) == [8, 4]
    assert order == orders.get_order(actor=client, order_id=order.id)


def test_lines_stay_in_the_order_in_which_they_were_asked_for(
    client: Actor, add_product: AddProduct
):
    bought = [add_product().id for _ in range(12)]
    random.shuffle(bought)

    order = place(client, *((product_id, 1) for product_id in bought)).order

    assert bought == [item.product_id for item in order.items]
    assert order == orders.get_order(actor=client, order_id=order.id)


def test_lines_of_one_product_are_summed(client: Actor, add_product: AddProduct):
    mug, lamp = add_product(3), add_product()

    order = place(client, (mug.id, 1), (lamp.id, 1), (mug.id, 2)).order

    assert [(mug.id, 3), (lamp.id, 1)] == [(item.product_id, item.quantity) for item in order.items]
    with pytest.raises(InsufficientStock) as refused:
        place(client, (lamp.id, 5), (lamp.id, 5))
    assert refused.value.lines == [ShortLine(lamp.id, 10, 9)]


def test_every_short_line_is_named_and_nothing_is_taken(
    client: Actor, add_product: AddProduct, sql: Sql
):
    mug, lamp, chair = add_product(1), add_product(10), add_product(0)

    with pytest.raises(InsufficientStock) as refused:
        place(client, (mug.id, 2), (lamp.id, 10), (chair.id, 1), key="k")

    assert refused.value.lines == [ShortLine(mug.id, 2, 1), ShortLine(chair.id, 1, 0)]
    assert stock_of(mug.id, lamp.id, chair.id) == [1, 10, 0]
    for table in ("orders", "order_item", "order_event", "idempotency_key"):
        assert sql(f"SELECT count(*) FROM {table}") == [(0,)]


def test_a_refused_order_leaves_its_key_unused(client: Actor, add_product: AddProduct):
    mug = add_product(1)
    with pytest.raises(InsufficientStock):
        place(client, (mug.id, 2), key="k")

    assert not place(client, (mug.id, 1), key="k").replayed


def test_every_product_that_is_not_for_sale_is_named(
    client: Actor, admin: Actor, add_product: AddProduct
):
    mug, archived, unknown = add_product(), add_product(), uuid4()
    products.archive_product(actor=admin, product_id=archived.id, expected_versions=None)

    with pytest.raises(ProductsUnavailable) as refused:
        place(client, (unknown, 1), (mug.id, 1), (archived.id, 99))

    assert refused.value.lines == [UnavailableLine(unknown, 1), UnavailableLine(archived.id, 99)]
    assert stock_of(mug.id) == [10]


def test_a_price_that_changes_later_changes_no_order(
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


def test_the_largest_total_is_exact_and_the_next_is_refused(client: Actor, add_product: AddProduct):
    most, one = add_product(5000, price=money.MAX_AMOUNT), add_product(price=1)

    assert place(client, (most.id, 1)).order.total == money.MAX_AMOUNT
    # The last of them costs more than PostgreSQL's bigint holds.
    for lines in ([(most.id, 2)], [(most.id, 1), (one.id, 1)], [(most.id, 4000), (one.id, 1)]):
        with pytest.raises(AmountOverflow):
            place(client, *lines)
    assert stock_of(most.id, one.id) == [4999, 10]


def test_a_free_order_is_an_order(client: Actor, add_product: AddProduct):
    assert place(client, (add_product(price=0).id, 3)).order.total == 0


def test_whoever_has_no_account_any_more_orders_nothing(anonymous: Actor, add_product: AddProduct):
    mug = add_product()

    for actor in (anonymous, make_actor(uuid4(), "CLIENT")):
        with pytest.raises(SessionExpired):
            place(actor, (mug.id, 1), key="k")
    assert stock_of(mug.id) == [10]


def test_the_same_key_gets_the_first_answer_whatever_became_of_the_order(
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

    again = place(client, (mug.id, 1), (mug.id, 2), key="k")

    assert again == first._replace(replayed=True)
    assert stock_of(mug.id) == [0]


def test_the_same_key_for_another_order_is_refused(client: Actor, add_product: AddProduct):
    mug, lamp = add_product(), add_product()
    place(client, (mug.id, 1), key="k")

    for lines in ([(mug.id, 2)], [(lamp.id, 1)], [(mug.id, 1), (lamp.id, 1)], [(lamp.id, 99)]):
        with pytest.raises(IdempotencyKeyReused):
            place(client, *lines, key="k")
    assert stock_of(mug.id, lamp.id) == [9, 10]


def test_keys_belong_to_who_gives_them(new_client: Callable[[], Actor], add_product: AddProduct):
    mug, one, other = add_product(), new_client(), new_client()

    assert place(one, (mug.id, 1), key="k").order.id != place(other, (mug.id, 1), key="k").order.id


def test_first_requests_with_one_key_at_once_place_one_order(
    client: Actor, add_product: AddProduct
):
    mug = add_product(100)

    for key in ("k1", "k2", "k3"):
        placed = run_concurrently(*[lambda key=key: place(client, (mug.id, 1), key=key)] * 16)

        assert Counter(one.replayed for one in placed) == {False: 1, True: 15}
        assert len({one._replace(replayed=False) for one in placed}) == 1
    assert stock_of(mug.id) == [97]


def test_different_requests_with_one_key_at_once_place_one_order(
    client: Actor, add_product: AddProduct
):
    bought = [add_product().id for _ in range(8)]

    outcomes = run_concurrently(
        *(
            lambda product_id=product_id: place(client, (product_id, 1), key="k")
            for product_id in bought
        )
    )

    assert Counter(map(type, outcomes)) == {orders.PlacedOrder: 1, IdempotencyKeyReused: 7}
    assert sum(stock_of(*bought)) == 79


def test_a_repeated_request_needs_no_stock(
    client: Actor, add_product: AddProduct, database_url: str
):
    mug = add_product()
    first = place(client, (mug.id, 1), key="k")
    with closing(psycopg2.connect(database_url)) as other:
        other.cursor().execute("SELECT FROM stock FOR UPDATE")

        second = place(client, (mug.id, 1), key="k")
        with pytest.raises(Unavailable):
            place(client, (mug.id, 1), key="another")

    assert second.replayed
    assert second.order == first.order


def test_an_order_that_waits_for_stock_is_of_the_moment_when_it_has_it(
    client: Actor, add_product: AddProduct, database_url: str
):
    """So it is in the window in time that begins when the one before it was read."""
    mug = add_product()
    with (
        closing(psycopg2.connect(database_url)) as other,
        closing(psycopg2.connect(database_url)) as watch,
        ThreadPoolExecutor(1) as pool,
    ):
        watch.autocommit = True
        looking = watch.cursor()
        other.cursor().execute("SELECT FROM stock FOR UPDATE")
        waiting = pool.submit(place, client, (mug.id, 1))
        blocked = False
        while not blocked:
            looking.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
            (blocked,) = looking.fetchone()
        looking.execute("SELECT clock_timestamp()")
        (read_until,) = looking.fetchone()
        other.rollback()

        assert waiting.result().order.created_at > read_until


def test_a_request_does_not_wait_for_ever_for_the_first_with_its_key(
    client: Actor, add_product: AddProduct, database_url: str
):
    """The first one hangs, its key claimed: the second is told so, and takes nothing."""
    mug, lamp = add_product(), add_product()
    hanging = psycopg2.connect(database_url)
    facts = {"order_id": str(uuid4()), "number": order_number.new(), "user_id": str(client.user_id)}
    hanging.cursor().execute(
        placement.PLACE.sql,
        facts
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
        },
    )

    with pytest.raises(IdempotencyInFlight):
        place(client, (lamp.id, 1), key="k")

    hanging.rollback()
    hanging.close()
    assert not place(client, (lamp.id, 1), key="k").replayed


def test_sixty_four_buyers_of_twenty_get_exactly_twenty(
    new_client: Callable[[], Actor], add_product: AddProduct, sql: Sql
):
    mug, buyers = add_product(20), [new_client() for _ in range(64)]

    outcomes = run_concurrently(
        *(lambda buyer=buyer: place(buyer, (mug.id, 1)) for buyer in buyers)
    )

    assert Counter(map(type, outcomes)) == {orders.PlacedOrder: 20, InsufficientStock: 44}
    assert stock_of(mug.id) == [0]
    levels = sql(
        "SELECT quantity_after FROM stock_movement WHERE kind = 'ORDER' ORDER BY created_at, id"
    )
    assert [level for (level,) in levels] == list(range(19, -1, -1))


def test_an_order_for_something_else_does_not_wait_for_a_locked_product(
    client: Actor, add_product: AddProduct, database_url: str
):
    hot, other = add_product(), add_product()
    locking = psycopg2.connect(database_url)
    locking.cursor().execute("SELECT FROM stock WHERE product_id = %s FOR UPDATE", (hot.id,))

    place(client, (other.id, 1), key="k1")
    with pytest.raises(Unavailable):
        place(client, (hot.id, 1), key="k2")

    locking.close()
    assert not place(client, (hot.id, 1), key="k2").replayed


def test_an_order_whose_connection_is_lost_can_be_repeated_safely(
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


@pytest.mark.parametrize("turned", [False, True])
def test_stock_is_locked_in_the_order_of_ids_whatever_the_order_of_lines_and_rows(
    client: Actor, add_product: AddProduct, database_url: str, turned: bool
):
    """An order that waits for the first product holds none of the later ones meanwhile."""
    bought = sorted(add_product().id for _ in range(4))
    basket = [(product_id, 1) for product_id in (bought[::-1] if turned else bought)]

    placed, free = count_unlocked_while_waiting(
        database_url, lambda: place(client, *basket), bought[0], bought[1:]
    )

    assert isinstance(placed, orders.PlacedOrder)
    assert free == 3


def test_orders_with_the_same_products_in_opposite_order_do_not_deadlock(
    new_client: Callable[[], Actor], add_product: AddProduct, sql: Sql
):
    bought = [add_product(1000).id for _ in range(6)]
    buyers = [new_client() for _ in range(16)]
    before = sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")

    def shop(buyer: Actor, seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(12):
            basket = chance.sample(bought, len(bought))
            place(buyer, *((product_id, chance.randint(1, 3)) for product_id in basket))

    outcomes = run_concurrently(*(lambda n=n: shop(buyers[n], n) for n in range(len(buyers))))

    assert outcomes == [None] * len(buyers)
    sql("SELECT pg_stat_force_next_flush()")
    assert before == sql(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    )


def test_buying_and_cancelling_at_once_keeps_the_ledger_true(
    admin: Actor, new_client: Callable[[], Actor], add_product: AddProduct
):
    bought = [add_product(8).id for _ in range(3)]
    buyers = [new_client() for _ in range(12)]
    refused: list[InsufficientStock] = []

    def shop(buyer: Actor, seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(10):
            try:
                order = place(buyer, *((one, 1) for one in chance.sample(bought, 2))).order
            except InsufficientStock as short:
                refused.append(short)
                continue
            orders.update_order_status(
                actor=admin,
                order_id=order.id,
                status="CANCELLED",
                tracking_number=None,
                expected_versions=None,
            )

    assert run_concurrently(*(lambda n=n: shop(buyers[n], n) for n in range(12))) == [None] * 12
    assert all(one.lines for one in refused)
    assert stock_of(*bought) == [8, 8, 8]


def test_a_taken_order_number_is_replaced_by_another(
    client: Actor, add_product: AddProduct, monkeypatch: pytest.MonkeyPatch
):
    mug = add_product()
    taken = place(client, (mug.id, 1)).order.number
    numbers = iter([taken, taken, "ORD-0000-0001"])
    monkeypatch.setattr(order_number, "new", lambda: next(numbers))

    assert place(client, (mug.id, 1), key="k").order.number == "ORD-0000-0001"
    assert stock_of(mug.id) == [8]


def test_the_event_and_the_movement_name_the_request(
    client: Actor, add_product: AddProduct, sql: Sql
):
    mug = add_product()
    order = place(replace(client, request_id="request-7"), (mug.id, 4)).order

    (event,) = orders.list_order_events(actor=client, order_id=order.id, limit=9).items
    assert ("PLACED", None, "PENDING", "PERSON", client.user_id, "request-7") == event[1:7]
    assert event.created_at == order.created_at
    assert sql(
        "SELECT delta, quantity_after, request_id FROM stock_movement WHERE kind = 'ORDER'"
    ) == [(-4, 6, "request-7")]
