"""PUT /orders/{order_id}/status, and the order events that it records."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from httpx2 import Client

from services.audit import audit
from tests.support.problems import assert_problem
from tests.support.shop import ORDERS, add_product, get_stock, place_order, update_status


@pytest.fixture
def mug(admin: Client) -> dict[str, Any]:
    return add_product(admin, stock=10)


@pytest.fixture
def order(alice: Client, mug: dict[str, Any]) -> dict[str, Any]:
    placed: dict[str, Any] = place_order(alice, (mug, 4)).json()
    return placed


def test_an_order_can_be_paid_shipped_and_delivered(
    admin: Client, alice: Client, order: dict[str, Any], mug: dict[str, Any]
) -> None:
    assert 200 == update_status(admin, order, "PAID").status_code
    shipped = update_status(admin, order, "SHIPPED", tracking_number="JD014600003GB")
    assert ("SHIPPED", "JD014600003GB") == (
        shipped.json()["status"],
        shipped.json()["tracking_number"],
    )
    delivered = update_status(admin, order, "DELIVERED").json()

    assert "DELIVERED" == delivered["status"]
    assert order["total"] == delivered["total"]
    assert 6 == get_stock(alice, mug)
    events = alice.get(f"{ORDERS}/{order['id']}/events").json()["items"]
    assert [
        ("PLACED", None, "PENDING"),
        ("STATUS_CHANGED", "PENDING", "PAID"),
        ("STATUS_CHANGED", "PAID", "SHIPPED"),
        ("STATUS_CHANGED", "SHIPPED", "DELIVERED"),
    ] == [(event["type"], event["from_status"], event["to_status"]) for event in events]
    assert [] == audit()


def test_a_transition_that_is_not_allowed_is_a_409_that_lists_the_allowed_transitions(
    admin: Client, order: dict[str, Any]
) -> None:
    problem = assert_problem(
        update_status(admin, order, "DELIVERED"), 409, "transition_not_allowed"
    )

    assert ("PENDING", "DELIVERED") == (problem["current"], problem["requested"])
    assert {"PAID", "CANCELLED"} == set(problem["allowed"])


def test_setting_the_current_status_changes_nothing(admin: Client, order: dict[str, Any]) -> None:
    first = update_status(admin, order, "PAID")
    second = update_status(admin, order, "PAID")

    assert (200, first.json()) == (second.status_code, second.json())
    assert first.headers["etag"] == second.headers["etag"]
    assert 2 == len(admin.get(f"{ORDERS}/{order['id']}/events").json()["items"])


@pytest.mark.parametrize("path", [["CANCELLED"], ["PAID", "CANCELLED"]])
def test_cancelling_restores_the_stock_once(
    admin: Client, order: dict[str, Any], mug: dict[str, Any], path: list[str]
) -> None:
    for status in path:
        update_status(admin, order, status)
    update_status(admin, order, "CANCELLED")

    assert 10 == get_stock(admin, mug)
    assert [] == audit()


def test_returning_restores_the_stock(
    admin: Client, order: dict[str, Any], mug: dict[str, Any]
) -> None:
    for status in ("PAID", "SHIPPED", "DELIVERED", "RETURNED"):
        assert 200 == update_status(admin, order, status).status_code

    assert 10 == get_stock(admin, mug)
    assert [] == admin.get(f"{ORDERS}/{order['id']}").json()["allowed_transitions"]
    assert [] == audit()


def test_a_reason_is_recorded_with_the_event(admin: Client, order: dict[str, Any]) -> None:
    for status in ("PAID", "SHIPPED", "DELIVERED"):
        update_status(admin, order, status)
    returned = update_status(admin, order, "RETURNED", reason="Arrived with a cracked handle.")

    assert 200 == returned.status_code
    events = admin.get(f"{ORDERS}/{order['id']}/events").json()["items"]
    assert [None] * 4 + ["Arrived with a cracked handle."] == [event["reason"] for event in events]


def test_ten_concurrent_cancellations_restore_the_stock_once(
    admin: Client, order: dict[str, Any], mug: dict[str, Any]
) -> None:
    with ThreadPoolExecutor(10) as pool:
        statuses = list(
            pool.map(lambda _: update_status(admin, order, "CANCELLED").status_code, range(10))
        )

    assert {200} == set(statuses)
    assert 10 == get_stock(admin, mug)
    assert [] == audit()


def test_concurrent_payment_and_cancellation_end_with_a_cancelled_order(
    admin: Client, order: dict[str, Any], mug: dict[str, Any]
) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda status: update_status(admin, order, status), ["PAID", "CANCELLED"]))

    assert "CANCELLED" == admin.get(f"{ORDERS}/{order['id']}").json()["status"]
    assert 10 == get_stock(admin, mug)
    assert [] == audit()


def test_if_match_with_an_outdated_etag_is_412(admin: Client, order: dict[str, Any]) -> None:
    path = f"{ORDERS}/{order['id']}"
    etag = admin.get(path).headers["etag"]
    update_status(admin, order, "PAID")

    response = admin.put(f"{path}/status", json={"status": "SHIPPED"}, headers={"If-Match": etag})

    assert_problem(response, 412, "precondition_failed")
    assert "PAID" == admin.get(path).json()["status"]


def test_a_tracking_number_is_allowed_only_with_shipped(
    admin: Client, order: dict[str, Any]
) -> None:
    problem = assert_problem(
        update_status(admin, order, "PAID", tracking_number="X1"), 400, "malformed_request"
    )

    assert ["/tracking_number"] == [error["pointer"] for error in problem["errors"]]


def test_a_customer_gets_403_whether_or_not_the_order_is_their_own(
    alice: Client, bob: Client, order: dict[str, Any]
) -> None:
    assert_problem(update_status(alice, order, "PAID"), 403, "forbidden")
    assert_problem(update_status(bob, order, "PAID"), 403, "forbidden")


def test_an_unknown_order_is_404(admin: Client) -> None:
    unknown = {"id": "0192f0c1-7e2a-7b31-8c55-5d0a1f4be111"}

    assert_problem(update_status(admin, unknown, "PAID"), 404, "not_found")
