"""Reading, listing and updating orders: permissions, status transitions, stock and filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain import order_status
from domain.actor import Actor
from domain.errors import (
    NotFound,
    PreconditionFailed,
    TrackingNumberDiffers,
    TransitionNotAllowed,
)
from domain.order_status import Party
from services import orders, products
from services.orders import Order, OrderFilters
from tests.support.concurrency import count_unlocked_while_waiting, run_concurrently
from tests.support.database import Sql
from tests.support.services import AddProduct

pytestmark = pytest.mark.usefixtures("audit_after_test")

TRANSITIONS_TO = {
    "PENDING": (),
    "PAID": ("PAID",),
    "SHIPPED": ("PAID", "SHIPPED"),
    "DELIVERED": ("PAID", "SHIPPED", "DELIVERED"),
    "CANCELLED": ("CANCELLED",),
    "RETURNED": ("PAID", "SHIPPED", "DELIVERED", "RETURNED"),
}


def place(actor: Actor, *items: tuple[UUID, int]) -> Order:
    return orders.create_order(actor=actor, items=items, idempotency_key=None).order


def update_status(
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


def list_all(actor: Actor, limit: int = 100, **filters: Any) -> list[Order]:
    return [order for page in pages(actor, limit, **filters) for order in page]


def test_only_the_owner_and_administrators_can_read_an_order(
    admin: Actor, new_client: Callable[[], Actor], add_product: AddProduct, anonymous: Actor
):
    owner, other = new_client(), new_client()
    order = place(owner, (add_product().id, 1))

    assert order == orders.get_order(actor=owner, order_id=order.id)
    from_admin = orders.get_order(actor=admin, order_id=order.id)
    assert from_admin == order._replace(
        allowed_transitions=from_admin.allowed_transitions, customer=from_admin.customer
    )
    assert (owner.user_id, "client0@example.com", "Client") == from_admin.customer
    for actor in (other, anonymous):
        for call in (
            lambda actor=actor: orders.get_order(actor=actor, order_id=order.id),
            lambda actor=actor: update_status(actor, order, "CANCELLED"),
            lambda actor=actor: orders.list_order_events(actor=actor, order_id=order.id, limit=1),
        ):
            with pytest.raises(NotFound):
                call()
    with pytest.raises(NotFound):
        orders.get_order(actor=admin, order_id=uuid4())


@pytest.mark.parametrize("status", order_status.STATUSES)
def test_allowed_transitions_are_those_of_the_actor(
    admin: Actor, client: Actor, add_product: AddProduct, status: str
):
    order = update_status(admin, place(client, (add_product().id, 1)), *TRANSITIONS_TO[status])

    for actor, party in ((admin, Party.ADMIN), (client, Party.OWNER)):
        visible = orders.get_order(actor=actor, order_id=order.id)
        assert order_status.allowed(status, {party}) == visible.allowed_transitions
        assert [visible] == list_all(actor)


@pytest.mark.parametrize("requested", order_status.STATUSES)
@pytest.mark.parametrize("current", order_status.STATUSES)
def test_exactly_the_transitions_of_the_state_machine_are_accepted(
    admin: Actor, client: Actor, add_product: AddProduct, current: str, requested: str
):
    placed = update_status(admin, place(client, (add_product().id, 2)), *TRANSITIONS_TO[current])
    order = orders.get_order(actor=admin, order_id=placed.id)
    allowed = order_status.allowed(current, {Party.ADMIN})

    if requested == current:
        assert order == update_status(admin, order, requested)
    elif requested in allowed:
        updated = update_status(admin, order, requested)
        # Cancelling a paid order also refunds it, which is another event.
        events = 2 if (current, requested) == ("PAID", "CANCELLED") else 1
        assert (requested, order.version + events) == (updated.status, updated.version)
        assert updated.updated_at > order.updated_at
    else:
        with pytest.raises(TransitionNotAllowed) as caught:
            update_status(admin, order, requested)
        assert caught.value.attributes() == {
            "current": current,
            "requested": requested,
            "allowed": list(allowed),
        }
        assert order == orders.get_order(actor=admin, order_id=order.id)


def test_an_owner_can_only_cancel_a_pending_order(
    admin: Actor, client: Actor, add_product: AddProduct
):
    mug = add_product(5)
    order = place(client, (mug.id, 2))
    with pytest.raises(TransitionNotAllowed):
        update_status(client, order, "PAID")

    assert update_status(client, order, "CANCELLED").status == "CANCELLED"
    assert products.get_product(product_id=mug.id).stock == 5

    paid = update_status(admin, place(client, (mug.id, 2)), "PAID")
    with pytest.raises(TransitionNotAllowed) as caught:
        update_status(client, paid, "CANCELLED")
    assert caught.value.allowed == ()


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        (("CANCELLED",), "RELEASE"),
        (("PAID", "CANCELLED"), "RELEASE"),
        (("PAID", "SHIPPED", "DELIVERED", "RETURNED"), "RETURN"),
    ],
)
def test_concurrent_cancellations_or_returns_restore_the_stock_once(
    admin: Actor,
    client: Actor,
    add_product: AddProduct,
    sql: Sql,
    statuses: tuple[str, ...],
    kind: str,
):
    mug, lamp = add_product(5), add_product(5)
    order = update_status(admin, place(client, (mug.id, 2), (lamp.id, 1)), *statuses[:-1])

    outcomes = run_concurrently(*[lambda: update_status(admin, order, statuses[-1])] * 8)

    assert len(set(outcomes)) == 1
    assert [5, 5] == [products.get_product(product_id=product.id).stock for product in (mug, lamp)]
    assert sql(
        "SELECT delta, quantity_after FROM stock_movement WHERE kind = %s ORDER BY delta", kind
    ) == [(1, 5), (2, 5)]


@pytest.mark.parametrize("reverse", [False, True])
def test_restored_stock_rows_are_locked_in_the_sequence_of_their_ids(
    client: Actor, add_product: AddProduct, database_url: str, reverse: bool
):
    product_ids = sorted(add_product().id for _ in range(4))
    order = place(
        client, *((product_id, 1) for product_id in (product_ids[::-1] if reverse else product_ids))
    )

    cancelled, unlocked = count_unlocked_while_waiting(
        database_url,
        lambda: update_status(client, order, "CANCELLED"),
        product_ids[0],
        product_ids[1:],
    )

    assert (cancelled.status, unlocked) == ("CANCELLED", 3)


def test_cancelling_restores_the_stock_of_an_archived_product(
    admin: Actor, client: Actor, add_product: AddProduct, sql: Sql
):
    mug = add_product(5)
    order = place(client, (mug.id, 5))
    products.archive_product(actor=admin, product_id=mug.id, expected_versions=None)

    update_status(admin, order, "CANCELLED")

    assert sql("SELECT quantity FROM stock") == [(5,)]


def test_the_tracking_number_is_set_at_shipment_and_does_not_change(
    admin: Actor, client: Actor, add_product: AddProduct
):
    order = place(client, (add_product().id, 1))

    assert update_status(admin, order, "PAID", tracking_number="EARLY").tracking_number is None
    assert update_status(admin, order, "SHIPPED", tracking_number="T-1").tracking_number == "T-1"
    with pytest.raises(TrackingNumberDiffers):
        update_status(admin, order, "SHIPPED", tracking_number="T-2")
    assert update_status(admin, order, "DELIVERED", tracking_number="LATE").tracking_number == "T-1"


def test_a_transition_with_another_expected_version_is_rejected(
    admin: Actor, client: Actor, add_product: AddProduct
):
    order = place(client, (add_product().id, 1))
    update_status(admin, order, "PAID", expected_versions={1})

    for status in ("SHIPPED", "PAID", "DELIVERED"):
        with pytest.raises(PreconditionFailed):
            update_status(admin, order, status, expected_versions={1})
    assert update_status(admin, order, "SHIPPED", expected_versions={1, 2}).version == 3


def test_of_two_concurrent_transitions_only_one_succeeds(
    admin: Actor, client: Actor, add_product: AddProduct
):
    mug = add_product(5)
    order = place(client, (mug.id, 5))
    update_status(admin, order, "PAID")

    outcomes = run_concurrently(
        *[lambda: update_status(admin, order, "SHIPPED")] * 4,
        *[lambda: update_status(admin, order, "CANCELLED")] * 4,
    )

    kinds = Counter(getattr(outcome, "status", type(outcome)) for outcome in outcomes)
    assert kinds in (
        {"SHIPPED": 4, TransitionNotAllowed: 4},
        {"CANCELLED": 4, TransitionNotAllowed: 4},
    )


def test_the_timeline_has_every_transition_once_oldest_first(
    admin: Actor, client: Actor, add_product: AddProduct
):
    order = update_status(
        admin,
        place(client, (add_product().id, 1)),
        *("PAID", "PAID", "SHIPPED", "DELIVERED", "RETURNED", "RETURNED"),
    )

    events, cursor = [], None
    while True:
        page = orders.list_order_events(actor=admin, order_id=order.id, limit=2, cursor=cursor)
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
    first, second, mug = new_client(), new_client(), add_product(100)
    of_first = {place(first, (mug.id, 1)).id for _ in range(3)}
    of_second = {place(second, (mug.id, 1)).id for _ in range(2)}

    def ids(actor: Actor, **filters: Any) -> set[UUID]:
        return {order.id for order in list_all(actor, **filters)}

    assert ids(first) == of_first == ids(first, user_id=first.user_id)
    assert ids(first, user_id=second.user_id) == set()
    assert ids(admin) == of_first | of_second
    assert ids(admin, user_id=second.user_id) == of_second
    assert ids(admin, user_id=uuid4()) == set()
    assert ids(anonymous) == ids(anonymous, user_id=first.user_id) == set()


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize("sort", ["created_at", "-created_at", "total", "-total"])
def test_pages_contain_every_order_once_in_sort_order(
    admin: Actor, client: Actor, add_product: AddProduct, sort: str, limit: int
):
    mug, lamp = add_product(100, 5), add_product(100, 7)
    placed = [place(client, (product.id, 1 + n % 2)) for n in range(4) for product in (mug, lamp)]

    found = [order.id for order in list_all(client, limit, sort=sort)]

    field = sort.removeprefix("-")
    expected = sorted(
        placed, key=lambda order: (getattr(order, field), order.id), reverse=sort.startswith("-")
    )
    assert [order.id for order in expected] == found
    assert found == [order.id for order in list_all(admin, limit, sort=sort)]


def test_orders_placed_between_two_pages_do_not_shift_the_next_page(
    client: Actor, add_product: AddProduct
):
    mug = add_product(100)
    placed = [place(client, (mug.id, 1)).id for _ in range(7)]

    found = []
    for page in pages(client, 2):
        found += [order.id for order in page]
        place(client, (mug.id, 1))

    assert placed[::-1] == found


def test_filters_can_be_combined(admin: Actor, client: Actor, add_product: AddProduct):
    mug = add_product(100, 100)
    pending, paid, shipped = (place(client, (mug.id, quantity)) for quantity in (1, 2, 3))
    update_status(admin, paid, "PAID")
    update_status(admin, shipped, "PAID", "SHIPPED")

    def find_ids(**filters: Any) -> set[UUID]:
        ids = {order.id for order in list_all(client, **filters)}
        assert ids == {order.id for order in list_all(admin, 1, **filters)}
        return ids

    assert find_ids(statuses=["PAID"]) == {paid.id}
    assert find_ids(statuses=["PAID", "PENDING"]) == {paid.id, pending.id}
    assert find_ids(statuses=[]) == find_ids(statuses=None) == {pending.id, paid.id, shipped.id}
    assert find_ids(statuses=["RETURNED"]) == set()
    assert find_ids(min_total=200) == {paid.id, shipped.id}
    assert find_ids(max_total=200) == {pending.id, paid.id}
    assert find_ids(min_total=101, max_total=299, statuses=["PAID", "SHIPPED"]) == {paid.id}
    assert find_ids(created_from=paid.created_at) == {paid.id, shipped.id}
    assert find_ids(created_to=paid.created_at) == {pending.id}
    assert find_ids(created_from=paid.created_at, created_to=shipped.created_at) == {paid.id}
    assert find_ids(created_from=datetime.now(UTC) + timedelta(days=1)) == set()
    assert find_ids(created_to=datetime(1, 1, 1, tzinfo=UTC)) == set()
    assert find_ids(created_to=datetime.max.replace(tzinfo=UTC)) == find_ids()


def test_an_order_number_is_found_in_any_case_and_with_or_without_prefix(
    new_client: Callable[[], Actor], add_product: AddProduct
):
    owner, other, mug = new_client(), new_client(), add_product()
    order = place(owner, (mug.id, 1))
    place(owner, (mug.id, 1))

    for typed in (order.number, order.number.lower(), order.number[4:].replace("-", "")):
        assert list_all(owner, number=typed) == [order]
        assert list_all(other, number=typed) == []
    for typed in ("ORD", "x", order.number[:-1]):
        assert list_all(owner, number=typed) == []
