"""Reading orders and moving them on: who may, in which order, and what becomes of the stock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain import order_status
from domain.actor import Actor
from domain.errors import NotFound, PreconditionFailed, TransitionNotAllowed
from domain.order_status import Party
from services import orders, products
from services.orders import Order, OrderFilters
from tests.support.concurrency import count_unlocked_while_waiting, run_concurrently
from tests.support.database import Sql
from tests.support.services import AddProduct

pytestmark = pytest.mark.usefixtures("audit_after_test")

WAYS = {
    "PENDING": (),
    "PAID": ("PAID",),
    "SHIPPED": ("PAID", "SHIPPED"),
    "DELIVERED": ("PAID", "SHIPPED", "DELIVERED"),
    "CANCELLED": ("CANCELLED",),
    "RETURNED": ("PAID", "SHIPPED", "DELIVERED", "RETURNED"),
}


def place(actor: Actor, *items: tuple[UUID, int]) -> Order:
    return orders.create_order(actor=actor, items=items, idempotency_key=None).order


def move(
    actor: Actor, order: Order, *statuses: str, tracking_number: str | None = None, **expected: Any
) -> Order:
    for status in statuses:
        order = orders.update_order_status(
            actor=actor,
            order_id=order.id,
            status=status,
            tracking_number=tracking_number,
            **({"expected_versions": None} | expected),
        )
    return order


def pages(
    actor: Actor, limit: int = 100, sort: str = "-created_at", **filters: Any
) -> Iterator[list[Order]]:
    cursor = None
    while True:
        page = orders.list_orders(
            actor=actor, limit=limit, cursor=cursor, sort=sort, filters=OrderFilters(**filters)
        )
        yield page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def listed(actor: Actor, limit: int = 100, **filters: Any) -> list[Order]:
    return [order for page in pages(actor, limit, **filters) for order in page]


def test_an_order_is_read_by_its_owner_and_by_administrators_alone(
    admin: Actor, new_client: Callable[[], Actor], add_product: AddProduct, anonymous: Actor
):
    owner, stranger = new_client(), new_client()
    order = place(owner, (add_product().id, 1))

    assert order == orders.get_order(actor=owner, order_id=order.id)
    seen = orders.get_order(actor=admin, order_id=order.id)
    assert seen == order._replace(
        allowed_transitions=seen.allowed_transitions, customer=seen.customer
    )
    assert (owner.user_id, "client0@example.com", "Client") == seen.customer
    for actor in (stranger, anonymous):
        for call in (
            lambda actor=actor: orders.get_order(actor=actor, order_id=order.id),
            lambda actor=actor: move(actor, order, "CANCELLED"),
            lambda actor=actor: orders.list_order_events(actor=actor, order_id=order.id, limit=1),
        ):
            with pytest.raises(NotFound):
                call()
    with pytest.raises(NotFound):
        orders.get_order(actor=admin, order_id=uuid4())


@pytest.mark.parametrize("status", order_status.STATUSES)
def test_everybody_is_told_which_steps_are_theirs(
    admin: Actor, client: Actor, add_product: AddProduct, status: str
):
    order = move(admin, place(client, (add_product().id, 1)), *WAYS[status])

    for actor, party in ((admin, Party.ADMIN), (client, Party.OWNER)):
        seen = orders.get_order(actor=actor, order_id=order.id)
        assert order_status.allowed(status, {party}) == seen.allowed_transitions
        assert [seen] == listed(actor)


@pytest.mark.parametrize("requested", order_status.STATUSES)
@pytest.mark.parametrize("current", order_status.STATUSES)
def test_every_step_of_the_table_is_made_and_no_other(
    admin: Actor, client: Actor, add_product: AddProduct, current: str, requested: str
):
    placed = move(admin, place(client, (add_product().id, 2)), *WAYS[current])
    order = orders.get_order(actor=admin, order_id=placed.id)
    allowed = order_status.allowed(current, {Party.ADMIN})

    if requested == current:
        assert order == move(admin, order, requested)
    elif requested in allowed:
        moved = move(admin, order, requested)
        assert (requested, order.version + 1) == (moved.status, moved.version)
        assert moved.updated_at > order.updated_at
    else:
        with pytest.raises(TransitionNotAllowed) as refused:
            move(admin, order, requested)
        assert refused.value.facts() == {
            "current": current,
            "requested": requested,
            "allowed": list(allowed),
        }
        assert order == orders.get_order(actor=admin, order_id=order.id)


def test_an_owner_may_cancel_while_it_is_pending_and_do_nothing_else(
    admin: Actor, client: Actor, add_product: AddProduct
):
    mug = add_product(5)
    order = place(client, (mug.id, 2))
    with pytest.raises(TransitionNotAllowed):
        move(client, order, "PAID")

    assert move(client, order, "CANCELLED").status == "CANCELLED"
    assert products.get_product(product_id=mug.id).stock == 5

    paid = move(admin, place(client, (mug.id, 2)), "PAID")
    with pytest.raises(TransitionNotAllowed) as refused:
        move(client, paid, "CANCELLED")
    assert refused.value.allowed == ()


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        (("CANCELLED",), "RELEASE"),
        (("PAID", "CANCELLED"), "RELEASE"),
        (("PAID", "SHIPPED", "DELIVERED", "RETURNED"), "RETURN"),
    ],
)
def test_units_come_back_once_whoever_asks_how_often(
    admin: Actor, client: Actor, add_product: AddProduct, sql: Sql, way: tuple[str, ...], kind: str
):
    mug, lamp = add_product(5), add_product(5)
    order = move(admin, place(client, (mug.id, 2), (lamp.id, 1)), *way[:-1])

    outcomes = run_concurrently(*[lambda: move(admin, order, way[-1])] * 8)

    assert len(set(outcomes)) == 1
    assert [5, 5] == [products.get_product(product_id=one.id).stock for one in (mug, lamp)]
    assert sql(
        "SELECT delta, quantity_after FROM stock_movement WHERE kind = %s ORDER BY delta", kind
    ) == [(1, 5), (2, 5)]


@pytest.mark.parametrize("turned", [False, True])
def test_stock_is_given_back_in_the_order_of_ids(
    client: Actor, add_product: AddProduct, database_url: str, turned: bool
):
    bought = sorted(add_product().id for _ in range(4))
    order = place(client, *((one, 1) for one in (bought[::-1] if turned else bought)))

    moved, free = count_unlocked_while_waiting(
        database_url, lambda: move(client, order, "CANCELLED"), bought[0], bought[1:]
    )

    assert (moved.status, free) == ("CANCELLED", 3)


def test_stock_of_an_archived_product_comes_back_too(
    admin: Actor, client: Actor, add_product: AddProduct, sql: Sql
):
    mug = add_product(5)
    order = place(client, (mug.id, 5))
    products.archive_product(actor=admin, product_id=mug.id, expected_versions=None)

    move(admin, order, "CANCELLED")

    assert sql("SELECT quantity FROM stock") == [(5,)]


def test_the_tracking_number_comes_with_shipment_and_stays(
    admin: Actor, client: Actor, add_product: AddProduct
):
    order = place(client, (add_product().id, 1))

    assert move(admin, order, "PAID", tracking_number="EARLY").tracking_number is None
    assert move(admin, order, "SHIPPED", tracking_number="T-1").tracking_number == "T-1"
    assert move(admin, order, "SHIPPED", tracking_number="T-2").tracking_number == "T-1"
    assert move(admin, order, "DELIVERED", tracking_number="LATE").tracking_number == "T-1"


def test_a_step_for_another_version_is_refused(
    admin: Actor, client: Actor, add_product: AddProduct
):
    order = place(client, (add_product().id, 1))
    move(admin, order, "PAID", expected_versions={1})

    for status in ("SHIPPED", "PAID", "DELIVERED"):
        with pytest.raises(PreconditionFailed):
            move(admin, order, status, expected_versions={1})
    assert move(admin, order, "SHIPPED", expected_versions={1, 2}).version == 3


def test_of_two_ways_at_once_one_is_gone(admin: Actor, client: Actor, add_product: AddProduct):
    mug = add_product(5)
    order = place(client, (mug.id, 5))
    move(admin, order, "PAID")

    outcomes = run_concurrently(
        *[lambda: move(admin, order, "SHIPPED")] * 4, *[lambda: move(admin, order, "CANCELLED")] * 4
    )

    kinds = Counter(getattr(one, "status", type(one)) for one in outcomes)
    assert kinds in (
        {"SHIPPED": 4, TransitionNotAllowed: 4},
        {"CANCELLED": 4, TransitionNotAllowed: 4},
    )


def test_the_timeline_tells_every_step_once_and_the_oldest_first(
    admin: Actor, client: Actor, add_product: AddProduct
):
    order = move(
        admin,
        place(client, (add_product().id, 1)),
        *("PAID", "PAID", "SHIPPED", "DELIVERED", "RETURNED", "RETURNED"),
    )

    events, cursor = [], None
    while True:
        page = orders.list_order_events(actor=client, order_id=order.id, limit=2, cursor=cursor)
        events += page.items
        cursor = page.next_cursor
        if cursor is None:
            break

    assert [(event.type, event.from_status, event.to_status) for event in events] == [
        ("PLACED", None, "PENDING"),
        ("STATUS_CHANGED", "PENDING", "PAID"),
        ("STATUS_CHANGED", "PAID", "SHIPPED"),
        ("STATUS_CHANGED", "SHIPPED", "DELIVERED"),
        ("STATUS_CHANGED", "DELIVERED", "RETURNED"),
    ]
    assert [client.user_id] + [admin.user_id] * 4 == [event.actor_user_id for event in events]
    assert sorted(event.created_at for event in events) == [event.created_at for event in events]
    assert len(events) == order.version


def test_clients_list_their_own_orders_and_administrators_all(
    admin: Actor, anonymous: Actor, new_client: Callable[[], Actor], add_product: AddProduct
):
    one, other, mug = new_client(), new_client(), add_product(100)
    of_one = {place(one, (mug.id, 1)).id for _ in range(3)}
    of_other = {place(other, (mug.id, 1)).id for _ in range(2)}

    def ids(actor: Actor, **filters: Any) -> set[UUID]:
        return {order.id for order in listed(actor, **filters)}

    assert ids(one) == of_one == ids(one, user_id=one.user_id)
    assert ids(one, user_id=other.user_id) == set()
    assert ids(admin) == of_one | of_other
    assert ids(admin, user_id=other.user_id) == of_other
    assert ids(admin, user_id=uuid4()) == set()
    assert ids(anonymous) == ids(anonymous, user_id=one.user_id) == set()


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize("sort", ["created_at", "-created_at", "total", "-total"])
def test_pages_hold_every_order_once_and_in_order(
    admin: Actor, client: Actor, add_product: AddProduct, sort: str, limit: int
):
    mug, lamp = add_product(100, 5), add_product(100, 7)
    placed = [place(client, (product.id, 1 + n % 2)) for n in range(4) for product in (mug, lamp)]

    found = [order.id for order in listed(client, limit, sort=sort)]

    field = sort.removeprefix("-")
    expected = sorted(
        placed, key=lambda order: (getattr(order, field), order.id), reverse=sort.startswith("-")
    )
    assert [order.id for order in expected] == found
    assert found == [order.id for order in listed(admin, limit, sort=sort)]


def test_orders_placed_meanwhile_shift_no_page(client: Actor, add_product: AddProduct):
    mug = add_product(100)
    placed = [place(client, (mug.id, 1)).id for _ in range(7)]

    found = []
    for page in pages(client, 2):
        found += [order.id for order in page]
        place(client, (mug.id, 1))

    assert placed[::-1] == found


def test_filters_narrow_down_together(admin: Actor, client: Actor, add_product: AddProduct):
    mug = add_product(100, 100)
    pending, paid, shipped = (place(client, (mug.id, quantity)) for quantity in (1, 2, 3))
    move(admin, paid, "PAID")
    move(admin, shipped, "PAID", "SHIPPED")

    def found(**filters: Any) -> set[UUID]:
        ids = {order.id for order in listed(client, **filters)}
        assert ids == {order.id for order in listed(admin, 1, **filters)}
        return ids

    assert found(statuses=["PAID"]) == {paid.id}
    assert found(statuses=["PAID", "PENDING"]) == {paid.id, pending.id}
    assert found(statuses=[]) == found(statuses=None) == {pending.id, paid.id, shipped.id}
    assert found(statuses=["RETURNED"]) == set()
    assert found(min_total=200) == {paid.id, shipped.id}
    assert found(max_total=200) == {pending.id, paid.id}
    assert found(min_total=101, max_total=299, statuses=["PAID", "SHIPPED"]) == {paid.id}
    assert found(created_from=paid.created_at) == {paid.id, shipped.id}
    assert found(created_to=paid.created_at) == {pending.id}
    assert found(created_from=paid.created_at, created_to=shipped.created_at) == {paid.id}
    assert found(created_from=datetime.now(UTC) + timedelta(days=1)) == set()
    assert found(created_to=datetime(1, 1, 1, tzinfo=UTC)) == set()
    assert found(created_to=datetime.max.replace(tzinfo=UTC)) == found()


def test_an_order_is_found_by_its_number_however_it_is_typed(
    new_client: Callable[[], Actor], add_product: AddProduct
):
    owner, stranger, mug = new_client(), new_client(), add_product()
    order = place(owner, (mug.id, 1))
    place(owner, (mug.id, 1))

    for typed in (order.number, order.number.lower(), order.number[4:].replace("-", "")):
        assert listed(owner, number=typed) == [order]
        assert listed(stranger, number=typed) == []
    for typed in ("ORD", "x", order.number[:-1]):
        assert listed(owner, number=typed) == []
