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


def events_of(client: Client, order: dict[str, Any]) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = client.get(f"{ORDERS}/{order['id']}/events").json()["items"]
    return events


def test_its_owner_cancels_it_and_the_stock_is_back(
    alice: Client, order: dict[str, Any], mug: dict[str, Any]
) -> None:
    answer = cancel_order(alice, order, reason="Wrong colour.\nSorry!")

    assert 200 == answer.status_code, answer.text
    cancelled = answer.json()
    assert ("CANCELLED", [], 2) == (
        cancelled["status"],
        cancelled["allowed_transitions"],
        cancelled["version"],
    )
    assert cancelled == alice.get(f"{ORDERS}/{order['id']}").json()
    assert 10 == get_stock(alice, mug)
    last = events_of(alice, order)[-1]
    assert ("STATUS_CHANGED", "PENDING", "CANCELLED", "Wrong colour.\nSorry!") == (
        last["type"],
        last["from_status"],
        last["to_status"],
        last["reason"],
    )
    assert {"kind": "PERSON", "user_id": order["user_id"]} == last["actor"]
    assert answer.headers["x-request-id"] == last["request_id"]
    assert [] == audit()


@pytest.mark.parametrize("body", [{}, {"content": b""}, {"json": {}}, {"json": {"reason": None}}])
def test_nobody_has_to_say_why(alice: Client, order: dict[str, Any], body: Any) -> None:
    answer = alice.post(f"{ORDERS}/{order['id']}/cancel", **body)

    assert (200, "CANCELLED") == (answer.status_code, answer.json()["status"])
    assert events_of(alice, order)[-1]["reason"] is None


def test_a_second_time_changes_nothing(
    alice: Client, order: dict[str, Any], mug: dict[str, Any]
) -> None:
    first = cancel_order(alice, order, reason="Changed my mind.")
    second = cancel_order(alice, order, reason="Really.")

    assert (200, first.json()) == (second.status_code, second.json())
    assert first.headers["etag"] == second.headers["etag"]
    assert ["PLACED", "STATUS_CHANGED"] == [event["type"] for event in events_of(alice, order)]
    assert 10 == get_stock(alice, mug)


def test_an_owner_cannot_once_it_is_paid_but_an_administrator_can(
    admin: Client, alice: Client, order: dict[str, Any], mug: dict[str, Any]
) -> None:
    update_status(admin, order, "PAID")

    refused = assert_problem(cancel_order(alice, order), 409, "transition_not_allowed")
    assert ("PAID", "CANCELLED", []) == (
        refused["current"],
        refused["requested"],
        refused["allowed"],
    )
    assert 6 == get_stock(alice, mug)
    assert "CANCELLED" == cancel_order(admin, order).json()["status"]
    assert 10 == get_stock(alice, mug)


def test_nobody_can_once_it_is_shipped(
    admin: Client, alice: Client, order: dict[str, Any], mug: dict[str, Any]
) -> None:
    update_status(admin, order, "PAID")
    update_status(admin, order, "SHIPPED")

    refused = assert_problem(cancel_order(admin, order), 409, "transition_not_allowed")
    assert ["DELIVERED"] == refused["allowed"]
    assert_problem(cancel_order(alice, order), 409, "transition_not_allowed")
    assert 6 == get_stock(alice, mug)


def test_only_the_version_that_was_read_is_cancelled(
    admin: Client, alice: Client, order: dict[str, Any]
) -> None:
    path = f"{ORDERS}/{order['id']}"
    seen = admin.get(path).headers["etag"]
    update_status(admin, order, "PAID")

    stale = admin.post(f"{path}/cancel", headers={"If-Match": seen})
    assert_problem(stale, 412, "precondition_failed")
    now = admin.get(path).headers["etag"]
    assert 200 == admin.post(f"{path}/cancel", headers={"If-Match": now}).status_code


def test_somebody_elses_order_is_not_found(
    alice: Client, bob: Client, anonymous: Client, order: dict[str, Any]
) -> None:
    assert_problem(cancel_order(bob, order), 404, "not_found")
    assert_problem(cancel_order(anonymous, order), 401, "unauthenticated")
    assert "PENDING" == alice.get(f"{ORDERS}/{order['id']}").json()["status"]


def test_another_web_site_cannot(alice: Client, order: dict[str, Any]) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}

    refused = alice.post(f"{ORDERS}/{order['id']}/cancel", headers=headers)

    assert_problem(refused, 403, "cross_site_request")


@pytest.mark.parametrize("reason", ["", "x" * 501, "a\0b", 7])
def test_a_reason_that_is_none_is_named(
    alice: Client, order: dict[str, Any], reason: object
) -> None:
    answer = alice.post(f"{ORDERS}/{order['id']}/cancel", json={"reason": reason})

    refused = assert_problem(answer, 400, "malformed_request")
    assert "/reason" == refused["errors"][0]["pointer"]


def test_its_owner_and_an_administrator_at_once_give_the_stock_back_once(
    admin: Client, alice: Client, order: dict[str, Any], mug: dict[str, Any]
) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = list(
            pool.map(lambda who: cancel_order(who, order).status_code, [admin, alice] * 5)
        )

    assert [200] * 10 == answers
    assert 10 == get_stock(admin, mug)
    assert [] == audit()
