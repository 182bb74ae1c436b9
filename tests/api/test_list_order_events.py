"""GET /orders/{order_id}/events."""

from __future__ import annotations

from contextlib import closing

import psycopg2
from httpx2 import Client

from services.audit import audit
from tests.support.problems import assert_problem
from tests.support.shop import ORDERS, add_product, place_order, update_status


def test_events_tell_who_did_what_by_which_request(admin: Client, alice: Client) -> None:
    placed = place_order(alice, (add_product(admin), 1), **{"X-Request-ID": "from-the-shop-1"})
    order = placed.json()
    update_status(admin, order, "PAID")

    events = alice.get(f"{ORDERS}/{order['id']}/events").json()["items"]

    assert ["PERSON", "PERSON"] == [one["actor"]["kind"] for one in events]
    assert order["user_id"] == events[0]["actor"]["user_id"] != events[1]["actor"]["user_id"]
    assert "from-the-shop-1" == events[0]["request_id"]


def test_a_long_story_comes_in_pages(admin: Client, alice: Client) -> None:
    order = place_order(alice, (add_product(admin), 1)).json()
    for status in ("PAID", "SHIPPED", "DELIVERED", "RETURNED"):
        update_status(admin, order, status)

    answer = alice.get(f"{ORDERS}/{order['id']}/events", params={"limit": 2})
    seen = [one["to_status"] for one in answer.json()["items"]]
    while "next" in answer.links:
        answer = alice.get(answer.links["next"]["url"])
        seen += [one["to_status"] for one in answer.json()["items"]]

    assert ["PENDING", "PAID", "SHIPPED", "DELIVERED", "RETURNED"] == seen


def test_a_clock_that_is_set_back_does_not_turn_a_story_around(
    admin: Client, alice: Client, database_url: str
) -> None:
    """As after a failover to a database server whose clock is behind that of the first."""
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
    assert ["PENDING", "PAID", "CANCELLED"] == [one["to_status"] for one in events]
    now = alice.get(f"{ORDERS}/{order['id']}").json()
    assert now["created_at"] < now["updated_at"] == events[-1]["created_at"]
    assert [] == audit()


def test_somebody_elses_story_is_not_found(admin: Client, alice: Client, bob: Client) -> None:
    order = place_order(alice, (add_product(admin), 1)).json()

    assert_problem(bob.get(f"{ORDERS}/{order['id']}/events"), 404, "not_found")
