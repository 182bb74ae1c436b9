"""PATCH /orders/{order_id}, and the event that says what was changed."""

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
    place_order,
    update_order,
    update_status,
)


@pytest.fixture
def order(alice: Client, admin: Client) -> dict[str, Any]:
    placed: dict[str, Any] = place_order(alice, (add_product(admin), 1)).json()
    return placed


@pytest.fixture
def shipped(admin: Client, order: dict[str, Any]) -> dict[str, Any]:
    assert 200 == update_status(admin, order, "PAID").status_code
    response = update_status(admin, order, "SHIPPED", tracking_number="TYPO-1")
    result: dict[str, Any] = response.json()
    return result


def events_of(client: Client, order: dict[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get(f"{ORDERS}/{order['id']}/events").json()["items"]
    return items


def test_a_tracking_number_is_corrected_and_the_event_has_both_values(
    admin: Client, alice: Client, shipped: dict[str, Any]
) -> None:
    response = update_order(admin, shipped, tracking_number="RIGHT-1", carrier="Österreich. Post")

    corrected = response.json()
    assert (200, "RIGHT-1", "Österreich. Post", "SHIPPED") == (
        response.status_code,
        *(corrected[name] for name in ("tracking_number", "carrier", "status")),
    )
    assert shipped["version"] + 1 == corrected["version"]
    assert response.headers["ETag"] == admin.get(f"{ORDERS}/{shipped['id']}").headers["ETag"]
    changes = [
        {"member": "tracking_number", "before": "TYPO-1", "after": "RIGHT-1"},
        {"member": "carrier", "before": None, "after": "Österreich. Post"},
    ]
    for client in (admin, alice):
        event = events_of(client, shipped)[-1]
        assert ("UPDATED", "SHIPPED", "SHIPPED", changes) == (
            *(event[name] for name in ("type", "from_status", "to_status", "changes")),
        )
    assert [] == audit()


def test_only_what_has_changed_is_in_the_event(admin: Client, shipped: dict[str, Any]) -> None:
    update_order(admin, shipped, tracking_number="TYPO-1", carrier="DHL")
    update_order(admin, shipped, carrier=None)

    assert [
        [{"member": "carrier", "before": None, "after": "DHL"}],
        [{"member": "carrier", "before": "DHL", "after": None}],
    ] == [event["changes"] for event in events_of(admin, shipped)[-2:]]


def test_the_same_values_change_nothing(admin: Client, shipped: dict[str, Any]) -> None:
    response = update_order(admin, shipped, tracking_number="TYPO-1", carrier=None)

    assert (200, shipped) == (response.status_code, response.json())
    assert 3 == len(events_of(admin, shipped))


@pytest.mark.parametrize("status", ["PENDING", "PAID", "CANCELLED"])
def test_an_order_that_was_not_shipped_has_a_carrier_but_no_tracking_number(
    admin: Client, order: dict[str, Any], status: str
) -> None:
    if status != "PENDING":
        update_status(admin, order, status)

    refused = update_order(admin, order, tracking_number="EARLY-1")

    assert status == assert_problem(refused, 409, "order_not_shipped")["current"]
    assert "DHL" == update_order(admin, order, carrier="DHL").json()["carrier"]
    assert 200 == update_order(admin, order, tracking_number=None).status_code
    assert [] == audit()


@pytest.mark.parametrize("status", ["DELIVERED", "RETURNED"])
def test_a_tracking_number_can_be_corrected_later(
    admin: Client, shipped: dict[str, Any], status: str
) -> None:
    for following in ("DELIVERED", "RETURNED")[: 1 + (status == "RETURNED")]:
        update_status(admin, shipped, following)

    response = update_order(admin, shipped, tracking_number="RIGHT-1")

    assert (status, "RIGHT-1") == (
        response.json()["status"],
        response.json()["tracking_number"],
    )


def test_an_outdated_etag_is_a_412(admin: Client, shipped: dict[str, Any]) -> None:
    url = f"{ORDERS}/{shipped['id']}"
    etag = admin.get(url).headers["ETag"]
    first = admin.patch(url, json={"carrier": "DHL"}, headers={"If-Match": etag})
    second = admin.patch(url, json={"carrier": "UPS"}, headers={"If-Match": etag})

    assert 200 == first.status_code
    assert_problem(second, 412, "precondition_failed")
    assert "DHL" == admin.get(url).json()["carrier"]


def test_concurrent_corrections_are_all_in_the_timeline(
    admin: Client, shipped: dict[str, Any]
) -> None:
    with ThreadPoolExecutor(8) as pool:
        responses = pool.map(
            lambda number: update_order(admin, shipped, tracking_number=f"N-{number}"), range(8)
        )
        assert {200} == {response.status_code for response in responses}

    changes = [event["changes"][0] for event in events_of(admin, shipped)[-8:]]
    assert ["TYPO-1", *(change["after"] for change in changes[:-1])] == [
        change["before"] for change in changes
    ]
    assert [] == audit()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "DELIVERED"},
        {"tracking_number": ""},
        {"tracking_number": "A" * 65},
        {"carrier": " DHL"},
        {"carrier": "DHL\n"},
        {"carrier": 1},
    ],
)
def test_other_changes_are_refused(
    admin: Client, shipped: dict[str, Any], body: dict[str, Any]
) -> None:
    response = admin.patch(f"{ORDERS}/{shipped['id']}", json=body)

    assert_problem(response, 400, "malformed_request")


def test_an_owner_cannot_update_the_order(alice: Client, order: dict[str, Any]) -> None:
    assert_problem(update_order(alice, order, carrier="DHL"), 403, "forbidden")


def test_an_order_is_not_shipped_twice_with_another_tracking_number(
    admin: Client, shipped: dict[str, Any]
) -> None:
    refused = update_status(admin, shipped, "SHIPPED", tracking_number="RIGHT-1")

    problem = assert_problem(refused, 409, "tracking_number_differs")
    assert "TYPO-1" == problem["tracking_number"]
    assert "update_order" in problem["detail"]
    for repeated in ({"tracking_number": "TYPO-1"}, {}):
        assert (200, shipped) == (
            (response := update_status(admin, shipped, "SHIPPED", **repeated)).status_code,
            response.json(),
        )


def test_a_tracking_number_that_was_left_out_is_added_by_an_update(
    admin: Client, order: dict[str, Any]
) -> None:
    for status in ("PAID", "SHIPPED"):
        update_status(admin, order, status)

    refused = update_status(admin, order, "SHIPPED", tracking_number="LATE-1")

    assert assert_problem(refused, 409, "tracking_number_differs")["tracking_number"] is None
    assert (
        "LATE-1" == update_order(admin, order, tracking_number="LATE-1").json()["tracking_number"]
    )


def test_a_repeated_placement_returns_the_order_as_it_was_placed(
    admin: Client, alice: Client
) -> None:
    product = add_product(admin)
    first = place_order(alice, (product, 1), **{"Idempotency-Key": "cart-1"})
    update_order(admin, first.json(), carrier="DHL")

    assert first.json() == place_order(alice, (product, 1), **{"Idempotency-Key": "cart-1"}).json()


def test_an_owner_does_not_see_what_the_staff_has_written(
    admin: Client, alice: Client, order: dict[str, Any]
) -> None:
    update_status(admin, order, "PAID", reason="Paid at the counter, talkative.")
    cancel_order(admin, order, reason="Fraud?")

    seen = {
        name: [(event["actor"]["user_id"], event["reason"]) for event in events_of(client, order)]
        for name, client in (("owner", alice), ("admin", admin))
    }

    owner_id = order["user_id"]
    assert {(owner_id, None), (None, None)} == set(seen["owner"])
    assert "Fraud?" in {reason for _, reason in seen["admin"]}
    assert {owner_id} < {user_id for user_id, _ in seen["admin"]} - {None}
    exported = alice.get("/api/v1/users/me/export").json()["orders"][0]["events"]
    assert seen["owner"] == [(event["actor"]["user_id"], event["reason"]) for event in exported]


def test_an_owner_sees_their_own_reason(alice: Client, order: dict[str, Any]) -> None:
    cancel_order(alice, order, reason="Ordered the wrong mug.")

    event = events_of(alice, order)[-1]

    assert (order["user_id"], "Ordered the wrong mug.") == (
        event["actor"]["user_id"],
        event["reason"],
    )
