"""POST /orders/{order_id}/cancel."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from httpx2 import Client

from services.audit import audit
from tests.support.problems import assert_problem
from tests.support.shop import (
    ORDERS,
    add_product,
    cancel_order,
    get_stock,
    place_order,
    update_status,
)


@pytest.fixture
def mug(admin: Client) -> dict[str, Any]:
    return add_product(admin, stock=10)


@pytest.fixture
def order(alice: Client, mug: dict[str, Any]) -> dict[str, Any]:
    placed: dict[str, Any] = place_order(alice, (mug, 4)).json()
    return placed


def list_events(client: Client, order: dict[str, Any]) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = client.get(f"{ORDERS}/{order['id']}/events").json()["items"]
    return events


def test_a_customer_can_cancel_their_pending_order_and_its_stock_is_restored(
    alice: Client, order: dict[str, Any], mug: dict[str, Any]
) -> None:
    response = cancel_order(alice, order, reason="Wrong colour.\nSorry!")

    assert 200 == response.status_code, response.text
    cancelled = response.json()
    assert ("CANCELLED", [], 2) == (
        cancelled["status"],
        cancelled["allowed_transitions"],
        cancelled["version"],
    )
    assert cancelled == alice.get(f"{ORDERS}/{order['id']}").json()
    assert 10 == get_stock(alice, mug)
    last = list_events(alice, order)[-1]
    assert ("STATUS_CHANGED", "PENDING", "CANCELLED", "Wrong colour.\nSorry!") == (
        last["type"],
        last["from_status"],
        last["to_status"],
        last["reason"],
    )
    assert {"kind": "PERSON", "user_id": order["user_id"]} == last["actor"]
    assert response.headers["x-request-id"] == last["request_id"]
    assert [] == audit()


@pytest.mark.parametrize("body", [{}, {"content": b""}, {"json": {}}, {"json": {"reason": None}}])
def test_the_reason_is_optional(alice: Client, order: dict[str, Any], body: Any) -> None:
    response = alice.post(f"{ORDERS}/{order['id']}/cancel", **body)

    assert (200, "CANCELLED") == (response.status_code, response.json()["status"])
    assert list_events(alice, order)[-1]["reason"] is None


def test_cancelling_a_cancelled_order_changes_nothing(
    alice: Client, order: dict[str, Any], mug: dict[str, Any]
) -> None:
    first = cancel_order(alice, order, reason="Changed my mind.")
    second = cancel_order(alice, order, reason="Really.")

    assert (200, first.json()) == (second.status_code, second.json())
    assert first.headers["etag"] == second.headers["etag"]
    assert ["PLACED", "STATUS_CHANGED"] == [event["type"] for event in list_events(alice, order)]
    assert 10 == get_stock(alice, mug)


def test_only_an_administrator_can_cancel_a_paid_order(
    admin: Client, alice: Client, order: dict[str, Any], mug: dict[str, Any]
) -> None:
    update_status(admin, order, "PAID")

    problem = assert_problem(cancel_order(alice, order), 409, "transition_not_allowed")
    assert ("PAID", "CANCELLED", []) == (
        problem["current"],
        problem["requested"],
        problem["allowed"],
    )
    assert 6 == get_stock(alice, mug)
    assert "CANCELLED" == cancel_order(admin, order).json()["status"]
    assert 10 == get_stock(alice, mug)


def test_a_shipped_order_cannot_be_cancelled(
    admin: Client, alice: Client, order: dict[str, Any], mug: dict[str, Any]
) -> None:
    update_status(admin, order, "PAID")
    update_status(admin, order, "SHIPPED")

    problem = assert_problem(cancel_order(admin, order), 409, "transition_not_allowed")
    assert ["DELIVERED"] == problem["allowed"]
    assert_problem(cancel_order(alice, order), 409, "transition_not_allowed")
    assert 6 == get_stock(alice, mug)


def test_if_match_with_an_outdated_etag_is_412(
    admin: Client, alice: Client, order: dict[str, Any]
) -> None:
    path = f"{ORDERS}/{order['id']}"
    outdated = admin.get(path).headers["etag"]
    update_status(admin, order, "PAID")

    stale = admin.post(f"{path}/cancel", headers={"If-Match": outdated})
    assert_problem(stale, 412, "precondition_failed")
    current = admin.get(path).headers["etag"]
    assert 200 == admin.post(f"{path}/cancel", headers={"If-Match": current}).status_code


def test_an_order_of_another_customer_is_404(
    alice: Client, bob: Client, anonymous: Client, order: dict[str, Any]
) -> None:
    assert_problem(cancel_order(bob, order), 404, "not_found")
    assert_problem(cancel_order(anonymous, order), 401, "unauthenticated")
    assert "PENDING" == alice.get(f"{ORDERS}/{order['id']}").json()["status"]


def test_a_request_from_another_site_is_rejected(alice: Client, order: dict[str, Any]) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}

    response = alice.post(f"{ORDERS}/{order['id']}/cancel", headers=headers)

    assert_problem(response, 403, "cross_site_request")


@pytest.mark.parametrize("reason", ["", "x" * 501, "a\0b", 7])
def test_an_invalid_reason_is_a_400_that_names_the_property(
    alice: Client, order: dict[str, Any], reason: object
) -> None:
    response = alice.post(f"{ORDERS}/{order['id']}/cancel", json={"reason": reason})

    problem = assert_problem(response, 400, "malformed_request")
    assert "/reason" == problem["errors"][0]["pointer"]


def test_concurrent_cancellations_restore_the_stock_once(
    admin: Client, alice: Client, order: dict[str, Any], mug: dict[str, Any]
) -> None:
    with ThreadPoolExecutor(10) as pool:
        statuses = list(
            pool.map(lambda client: cancel_order(client, order).status_code, [admin, alice] * 5)
        )

    assert [200] * 10 == statuses
    assert 10 == get_stock(admin, mug)
    assert [] == audit()
