"""What the security log says about requests that are refused, and about administrators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from httpx2 import Client

from tests.support.accounts import ADMIN, PASSWORD
from tests.support.processes import run_server
from tests.support.settings import NO_RATE_LIMIT_VARIABLES, SIGNING_KEY

EVENTS = "/api/v1/security-events"
ME = "/api/v1/users/me"
PRODUCTS = "/api/v1/products"
PRICE = {"amount": 2090, "currency": "EUR"}
NEW_PRODUCT = {"sku": "MUG", "name": "Mug", "price": {"amount": 1990, "currency": "EUR"}}


def events(admin: Client, *types: str) -> list[dict[str, Any]]:
    """Return the entries of these types, oldest first."""
    response = admin.get(EVENTS, params={"type": types, "sort": "created_at", "limit": 100})
    assert 200 == response.status_code, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


def test_changes_of_the_catalogue_are_logged_with_the_administrator(admin: Client) -> None:
    admin_id = admin.get(ME).json()["id"]
    product = admin.post(PRODUCTS, json=NEW_PRODUCT, headers={"X-Request-ID": "new-mug"}).json()
    url = f"{PRODUCTS}/{product['id']}"
    admin.patch(url, json={"price": PRICE})
    admin.patch(url, json={"price": PRICE})  # changes nothing
    admin.post(f"{url}/stock-adjustments", json={"delta": 2, "reason": "COUNTED"})
    admin.delete(url)
    admin.post(f"{url}/restore")
    admin.post(f"{url}/restore")  # changes nothing

    logged = events(
        admin,
        "PRODUCT_CREATED",
        "PRODUCT_UPDATED",
        "STOCK_ADJUSTED",
        "PRODUCT_ARCHIVED",
        "PRODUCT_RESTORED",
    )

    assert [
        "PRODUCT_CREATED",
        "PRODUCT_UPDATED",
        "STOCK_ADJUSTED",
        "PRODUCT_ARCHIVED",
        "PRODUCT_RESTORED",
    ] == [event["type"] for event in logged]
    assert {(product["id"], admin_id)} == {
        (event["product_id"], event["actor_user_id"]) for event in logged
    }
    assert ("new-mug", "127.0.0.1") == (logged[0]["request_id"], logged[0]["address"])


def test_imports_and_exports_are_logged_but_not_dry_runs(admin: Client) -> None:
    csv = {"content": "sku,name,price\nMUG,Mug,19.90\n", "headers": {"Content-Type": "text/csv"}}
    admin.post(f"{PRODUCTS}/import?dry_run=true", **csv)
    admin.post(f"{PRODUCTS}/import", **csv)
    admin.get(f"{PRODUCTS}/export")
    admin.get("/api/v1/orders/export")

    logged = events(admin, "PRODUCTS_IMPORTED", "DATA_EXPORTED")

    assert [
        ("PRODUCTS_IMPORTED", "import_products"),
        ("DATA_EXPORTED", "export_products"),
        ("DATA_EXPORTED", "export_orders"),
    ] == [(event["type"], event["detail"]) for event in logged]
    assert {admin.get(ME).json()["id"]} == {event["actor_user_id"] for event in logged}


def test_refused_registrations_are_logged_without_the_email(
    admin: Client, anonymous: Client
) -> None:
    new = {"email": ADMIN[0], "name": "Eve", "password": PASSWORD}
    anonymous.post("/api/v1/auth/register", json=new)
    anonymous.post(
        "/api/v1/auth/register",
        json=new | {"email": "eve@example.com", "password": "password1234"},
    )

    logged = events(admin, "REGISTRATION_REFUSED")

    assert ["email_taken", "password_rejected"] == [event["detail"] for event in logged]
    assert {(None, None)} == {(event["user_id"], event["actor_user_id"]) for event in logged}


def test_a_user_who_is_refused_is_logged_once_for_each_operation(
    admin: Client, alice: Client, anonymous: Client
) -> None:
    for _ in range(5):
        alice.get(EVENTS)
        alice.get("/api/v1/users")
        alice.patch(ME, json={"name": "Eve"}, headers={"sec-fetch-site": "cross-site"})
        anonymous.get(EVENTS)  # 401: nobody is signed in

    logged = events(admin, "ACCESS_DENIED")

    assert ["list_security_events", "list_users", "update_me"] == [
        event["detail"] for event in logged
    ]
    assert {alice.get(ME).json()["id"]} == {event["actor_user_id"] for event in logged}


@pytest.fixture
def limited_url(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a server that allows two failed sign-ins; return its URL."""
    with run_server(
        tmp_path_factory.mktemp("limited") / "data",
        ORDERLY_DATABASE_URL=database_url,
        ORDERLY_SIGNING_KEY=SIGNING_KEY,
        ORDERLY_COOKIE_SECURE="false",
        ORDERLY_WORKER="false",
        ORDERLY_VALIDATE_RESPONSES="true",
        ORDERLY_TRUSTED_PROXIES="127.0.0.1",
        **{**NO_RATE_LIMIT_VARIABLES, "ORDERLY_SIGN_IN_LIMIT": "2"},
    ) as server:
        yield server.url


def test_an_exceeded_rate_limit_is_logged_once_for_each_quota(
    admin: Client, new_client: Callable[[str], Client], limited_url: str
) -> None:
    new_client("alice")

    def fail_to_sign_in(email: str, address: str) -> int:
        return httpx2.post(
            f"{limited_url}/api/v1/auth/login",
            json={"email": email, "password": "not the password"},
            headers={"X-Forwarded-For": address},
        ).status_code

    statuses = [fail_to_sign_in("alice@example.com", "203.0.113.7") for _ in range(5)]
    fail_to_sign_in("bob@example.com", "203.0.113.7")
    for _ in range(4):
        fail_to_sign_in("alice@example.com", "203.0.113.8")

    assert [401, 401, 429, 429, 429] == statuses
    logged = events(admin, "RATE_LIMITED")
    assert [("sign_in", "203.0.113.7"), ("sign_in", "203.0.113.8")] == [
        (event["detail"], event["address"]) for event in logged
    ]
