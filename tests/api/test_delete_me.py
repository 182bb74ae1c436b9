"""DELETE /users/me."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from httpx2 import Client

from services.audit import audit
from tests.support.accounts import ADMIN, PASSWORD
from tests.support.database import Sql
from tests.support.problems import assert_problem
from tests.support.shop import (
    LONDON,
    ORDERS,
    add_product,
    cancel_order,
    create_payment,
    place_order,
    update_status,
)

AUTH = "/api/v1/auth"
ME = "/api/v1/users/me"
EMAIL = "alice@example.com"


def delete(client: Client, password: str = PASSWORD, **headers: str) -> httpx2.Response:
    return client.request("DELETE", ME, json={"current_password": password}, headers=headers)


def sign_in(client: Client, email: str = EMAIL) -> httpx2.Response:
    return client.post(f"{AUTH}/token", json={"email": email, "password": PASSWORD})


@pytest.fixture
def mug(admin: Client) -> dict[str, Any]:
    return add_product(admin)


def test_a_deleted_account_cannot_be_used(alice: Client, anonymous: Client) -> None:
    user_id = alice.get(ME).json()["id"]
    tokens = sign_in(anonymous).json()

    response = delete(alice)

    assert 202 == response.status_code
    assert user_id == response.json()["user_id"]
    assert '"cache", "storage"' == response.headers["clear-site-data"]
    assert [] == list(alice.cookies)
    assert_problem(sign_in(anonymous), 401, "invalid_credentials")
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert_problem(anonymous.get(ME, headers=bearer), 401, "invalid_token")
    refresh = {"refresh_token": tokens["refresh_token"]}
    assert_problem(anonymous.post(f"{AUTH}/token", json=refresh), 401, "session_expired")


def test_the_email_can_be_registered_again(
    alice: Client, mug: dict[str, Any], new_client: Callable[[str], Client]
) -> None:
    user_id = alice.get(ME).json()["id"]
    cancel_order(alice, place_order(alice, (mug, 1), shipping_address=LONDON).json())
    delete(alice)

    again = new_client("alice")

    assert user_id != again.get(ME).json()["id"]
    assert [] == again.get(ORDERS).json()["items"]


def test_the_current_password_is_required(alice: Client, sql: Sql) -> None:
    assert_problem(delete(alice, "not the password"), 409, "current_password_wrong")
    assert_problem(alice.request("DELETE", ME, json={}), 400, "malformed_request")

    assert 200 == alice.get(ME).status_code
    failed = sql("SELECT count(*) FROM security_event WHERE type = 'USER_DELETION_FAILED'")
    assert [(1,)] == failed


@pytest.mark.parametrize("status", ["PENDING", "PAID", "SHIPPED"])
def test_an_order_that_is_under_way_prevents_it(
    admin: Client, alice: Client, mug: dict[str, Any], status: str
) -> None:
    order = place_order(alice, (mug, 1)).json()
    for one in ("PAID", "SHIPPED")[: ("PENDING", "PAID", "SHIPPED").index(status)]:
        update_status(admin, order, one)

    response = delete(alice)

    problem = assert_problem(response, 409, "orders_in_progress")
    assert [order["number"]] == problem["order_numbers"]
    assert 200 == alice.get(ME).status_code


@pytest.mark.parametrize("statuses", [["CANCELLED"], ["PAID", "SHIPPED", "DELIVERED"]])
def test_finished_orders_keep_their_totals_without_the_person(
    admin: Client, alice: Client, mug: dict[str, Any], statuses: list[str]
) -> None:
    order = place_order(alice, (mug, 2), shipping_address=LONDON, note="Ring twice.").json()
    for status in statuses:
        assert 200 == update_status(admin, order, status).status_code
    path = f"{ORDERS}/{order['id']}"
    before = admin.get(path)

    assert 202 == delete(alice).status_code

    after = admin.get(path, headers={"If-None-Match": before.headers["etag"]})
    assert 200 == after.status_code
    kept = {"number", "status", "total", "items", "amount_paid", "created_at", "user_id"}
    assert {name: before.json()[name] for name in kept}.items() <= after.json().items()
    erased = after.json()
    assert [None] * 3 == [erased[name] for name in ("shipping_address", "note", "tracking_number")]
    assert "Deleted user" == erased["customer"]["name"]
    assert erased["customer"]["email"].endswith("@deleted.invalid")
    event = admin.get(f"{path}/events").json()["items"][-1]
    assert ("PERSONAL_DATA_ERASED", statuses[-1]) == (event["type"], event["to_status"])
    assert erased["version"] == before.json()["version"] + 1
    assert [] == audit()


def test_an_open_payment_prevents_it(
    admin: Client, alice: Client, mug: dict[str, Any], sql: Sql
) -> None:
    order = place_order(alice, (mug, 1)).json()
    assert 201 == create_payment(alice, order).status_code
    # As if a provider has not confirmed yet that the payment of a cancelled order is canceled
    sql("UPDATE orders SET status = 'CANCELLED'")

    assert_problem(delete(alice), 409, "orders_in_progress")

    sql("UPDATE payment SET status = 'CANCELED'")
    assert 202 == delete(alice).status_code


def test_a_pending_refund_prevents_it(
    admin: Client, alice: Client, mug: dict[str, Any], sql: Sql
) -> None:
    order = place_order(alice, (mug, 1)).json()
    update_status(admin, order, "PAID")
    assert 200 == cancel_order(admin, order).status_code
    sql("UPDATE refund SET status = 'PENDING'")

    assert_problem(delete(alice), 409, "orders_in_progress")

    sql("UPDATE refund SET status = 'FAILED'")
    assert 202 == delete(alice).status_code


def test_the_last_administrator_cannot_be_deleted(admin: Client) -> None:
    assert_problem(delete(admin, ADMIN[1]), 409, "last_administrator")

    assert 200 == admin.get(ME).status_code


def test_another_administrator_can_be_deleted(admin: Client, alice: Client, sql: Sql) -> None:
    admin.patch(f"/api/v1/users/{alice.get(ME).json()['id']}", json={"role": "ADMIN"})

    assert 202 == delete(admin, ADMIN[1]).status_code

    assert [(1,)] == sql("SELECT count(*) FROM users WHERE role = 'ADMIN' AND active")


def test_a_second_deletion_finds_no_session(alice: Client) -> None:
    cookies = dict(alice.cookies)
    assert 202 == delete(alice).status_code
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())

    assert_problem(delete(alice, Cookie=header), 401, "invalid_token")


def test_a_page_of_another_origin_cannot_delete_the_account(alice: Client) -> None:
    response = delete(alice, **{"Sec-Fetch-Site": "cross-site"})

    assert_problem(response, 403, "cross_site_request")


def test_a_session_is_required(anonymous: Client) -> None:
    assert_problem(delete(anonymous), 401, "unauthenticated")
