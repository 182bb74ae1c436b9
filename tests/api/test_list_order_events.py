"""GET /orders/{order_id}/events."""

from __future__ import annotations

from contextlib import closing

import psycopg2
from httpx2 import Client

from services.audit import audit
from tests.support.database import Sql
from tests.support.problems import assert_problem
from tests.support.shop import ORDERS, add_product, place_order, update_status


def test_events_have_the_actor_and_the_request_id(admin: Client, alice: Client) -> None:
    placed = place_order(alice, (add_product(admin), 1), **{"X-Request-ID": "from-the-shop-1"})
    order = placed.json()
    update_status(admin, order, "PAID")

    events = alice.get(f"{ORDERS}/{order['id']}/events").json()["items"]

    assert ["PERSON", "PERSON"] == [event["actor"]["kind"] for event in events]
    assert order["user_id"] == events[0]["actor"]["user_id"] != events[1]["actor"]["user_id"]
    assert "from-the-shop-1" == events[0]["request_id"]


def test_events_are_paged(admin: Client, alice: Client) -> None:
    order = place_order(alice, (add_product(admin), 1)).json()
    for status in ("PAID", "SHIPPED", "DELIVERED", "RETURNED"):
        update_status(admin, order, status)

    response = alice.get(f"{ORDERS}/{order['id']}/events", params={"limit": 2})
    seen = [event["to_status"] for event in response.json()["items"]]
    while "next" in response.links:
        response = alice.get(response.links["next"]["url"])
        seen += [event["to_status"] for event in response.json()["items"]]

    assert ["PENDING", "PAID", "SHIPPED", "DELIVERED", "RETURNED"] == seen


def test_events_stay_in_order_when_the_database_clock_is_set_back(
    admin: Client, alice: Client, database_url: str
) -> None:
    """This happens after a failover to a database server whose clock is behind."""
    order = place_order(alice, (add_product(admin), 1)).json()
    with closing(psycopg2.connect(database_url)) as connection, connection:
        connection.cursor().execute("""
            UPDATE order_event SET created_at = created_at + interval '1 minute';
            UPDATE orders SET created_at = created_at + interval '1 minute',
                updated_at = updated_at + interval '1 minute';
        """)

    for status in ("PAID", "CANCELLED"):
        update_status(admin, order, status)

    events = alice.get(f"{ORDERS}/{order['id']}/events").json()["items"]
    # The last event is the refund.
    expected = ["PENDING", "PAID", "CANCELLED", "CANCELLED"]
    assert expected == [event["to_status"] for event in events]
    now = alice.get(f"{ORDERS}/{order['id']}").json()
    assert now["created_at"] < now["updated_at"] == events[-1]["created_at"]
    assert [] == audit()


def test_the_reason_of_an_event_by_a_server_of_the_version_before_is_shown(
    admin: Client, alice: Client, sql: Sql
) -> None:
    """During a rolling upgrade, servers of the version before still write to this column."""
    order = place_order(alice, (add_product(admin), 1)).json()
    sql("UPDATE order_event SET reason = 'Old.'")

    (event,) = alice.get(f"{ORDERS}/{order['id']}/events").json()["items"]

    assert "Old." == event["reason"]


def test_the_events_of_another_customers_order_are_404(
    admin: Client, alice: Client, bob: Client
) -> None:
    order = place_order(alice, (add_product(admin), 1)).json()

    assert_problem(bob.get(f"{ORDERS}/{order['id']}/events"), 404, "not_found")
