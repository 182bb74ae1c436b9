"""The state machines of the contract, driven through HTTP: each status, target and actor.

Nothing else changes a status: neither another actor, nor a report that comes late or twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import Client

from domain.order_status import STATUSES
from integrations.payments import sandbox_events
from integrations.payments.sandbox import SandboxProvider
from services import orders
from services.audit import audit
from tests.support.contract import DOCUMENT
from tests.support.database import Sql
from tests.support.processes import run_server
from tests.support.services import make_actor
from tests.support.settings import NO_RATE_LIMIT_VARIABLES, SIGNING_KEY
from tests.support.shop import (
    ORDERS,
    PAYMENTS,
    add_product,
    cancel_order,
    place_order,
    update_status,
)

SCHEMAS = DOCUMENT["components"]["schemas"]
# How an administrator moves a new order to each status.
PATHS = {
    "PENDING": (),
    "PAID": ("PAID",),
    "SHIPPED": ("PAID", "SHIPPED"),
    "DELIVERED": ("PAID", "SHIPPED", "DELIVERED"),
    "CANCELLED": ("CANCELLED",),
    "RETURNED": ("PAID", "SHIPPED", "DELIVERED", "RETURNED"),
}
Order = dict[str, Any]


def documented(schema: str, status: str) -> set[tuple[str, str]]:
    """Return the transitions from a status: the target, and who makes it."""
    return {
        (one["to"], party)
        for one in SCHEMAS[schema]["x-state-machine"]["transitions"]
        if one["from"] == status
        for party in one.get("by", ["PROVIDER"])
    }


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("machines") / "data"


@pytest.fixture(scope="module")
def base_url(runtime_url: str, data_dir: Path) -> Iterator[str]:
    """Run a server with the sandbox; the worker does not run."""
    with run_server(
        data_dir,
        ORDERLY_DATABASE_URL=runtime_url,
        ORDERLY_SIGNING_KEY=SIGNING_KEY,
        ORDERLY_COOKIE_SECURE="false",
        ORDERLY_VALIDATE_RESPONSES="true",
        ORDERLY_WORKER="false",
        ORDERLY_SANDBOX_PAYMENTS="true",
        **NO_RATE_LIMIT_VARIABLES,
    ) as server:
        yield server.url


class Provider:
    """Reports statuses of payments and refunds to the server, as signed notifications."""

    def __init__(self, client: Client, data_dir: Path) -> None:
        self._client = client
        self._secret = SandboxProvider(data_dir).secret()

    def report_payment(self, payment: dict[str, Any], status: str) -> None:
        content = {
            "reference": payment["reference"],
            "status": status,
            "amount": payment["amount"],
            "payment_id": payment["id"],
            "failure_code": None,
        }
        self._notify(f"payment.{status.lower()}", payment=content)

    def report_refund(self, payment: dict[str, Any], status: str) -> None:
        content = {
            "reference": f"refund_of_{payment['reference']}",
            "status": status,
            "amount": {**payment["amount"], "amount": 1},
            "refund_id": str(uuid4()),  # made at the provider, so the server does not know it
            "payment_reference": payment["reference"],
        }
        self._notify(f"refund.{status.lower()}", refund=content)

    def _notify(self, kind: str, **content: Any) -> None:
        body = json.dumps({"id": str(uuid4()), "type": kind, **content}).encode()
        headers = sandbox_events.sign(self._secret, body) | {"Content-Type": "application/json"}
        path = "/api/v1/payment-notifications/sandbox"
        response = self._client.post(path, content=body, headers=headers)
        assert 204 == response.status_code, response.text


@pytest.fixture
def provider(anonymous: Client, data_dir: Path) -> Provider:
    return Provider(anonymous, data_dir)


@pytest.fixture
def place(alice: Client, admin: Client) -> Callable[[], Order]:
    """Return a function with which Alice places an order."""
    product = add_product(admin, stock=1000)
    return lambda: place_order(alice, (product, 1)).json()  # type: ignore[no-any-return]


@pytest.fixture
def pay(alice: Client, place: Callable[[], Order]) -> Callable[[], dict[str, Any]]:
    """Return a function that starts a payment of a new order."""

    def create_payment() -> dict[str, Any]:
        order = place()
        response = alice.post(f"{ORDERS}/{order['id']}/payments", json={"provider": "sandbox"})
        assert 201 == response.status_code, response.text
        payment: dict[str, Any] = response.json()
        return payment

    return create_payment


def move(admin: Client, order_id: str, status: str) -> None:
    for step in PATHS[status]:
        assert 200 == update_status(admin, {"id": order_id}, step).status_code


def status_of(admin: Client, order_id: str) -> str:
    status: str = admin.get(f"{ORDERS}/{order_id}").json()["status"]
    return status


@pytest.mark.parametrize("status", STATUSES)
def test_people_make_only_the_documented_transitions_of_an_order(
    admin: Client, alice: Client, bob: Client, place: Callable[[], Order], status: str
) -> None:
    made = set()
    for party, client in (("ADMIN", admin), ("OWNER", alice), ("ANOTHER USER", bob)):
        for target in STATUSES:
            order = place()
            move(admin, order["id"], status)
            allowed = client.get(f"{ORDERS}/{order['id']}").json().get("allowed_transitions", [])
            answers = {update_status(client, order, target).status_code}
            if target == "CANCELLED" and party != "ADMIN":
                answers.add(cancel_order(client, order).status_code)
            after = status_of(admin, order["id"])
            assert after in {status, target}
            if after != status:
                made.add((target, party))
            assert (target in allowed) == (after != status)
            # Setting the status that the order already has is a 200 that changes nothing.
            assert (200 in answers) == (after != status) or target == status

    people = {"ADMIN", "OWNER"}
    assert made == {one for one in documented("OrderStatus", status) if one[1] in people}
    assert [] == audit()


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("reported", SCHEMAS["PaymentStatus"]["enum"])
def test_a_provider_makes_only_the_documented_transitions_of_an_order(
    admin: Client,
    pay: Callable[[], dict[str, Any]],
    provider: Provider,
    status: str,
    reported: str,
) -> None:
    payment = pay()
    move(admin, payment["order_id"], status)

    provider.report_payment(payment, reported)

    after = status_of(admin, payment["order_id"])
    by_provider = {to for to, party in documented("OrderStatus", status) if party == "PROVIDER"}
    expected = by_provider if reported == "SUCCEEDED" else set()
    assert {after} - {status} == expected
    assert [] == audit()


@pytest.mark.parametrize("status", STATUSES)
def test_the_system_makes_only_the_documented_transitions_of_an_order(
    admin: Client, place: Callable[[], Order], sql: Sql, status: str
) -> None:
    order = place()
    move(admin, order["id"], status)
    for table in ("orders", "order_event"):
        sql(f"UPDATE {table} SET created_at = created_at - interval '1 day'")

    orders.expire_orders(actor=make_actor(None, None))

    by_system = {to for to, party in documented("OrderStatus", status) if party == "SYSTEM"}
    assert {status_of(admin, order["id"])} - {status} == by_system
    assert [] == audit()


@pytest.mark.parametrize("status", SCHEMAS["PaymentStatus"]["enum"])
def test_reports_make_only_the_documented_transitions_of_a_payment(
    admin: Client, pay: Callable[[], dict[str, Any]], provider: Provider, status: str
) -> None:
    made = set()
    for target in SCHEMAS["PaymentStatus"]["enum"]:
        payment = pay()
        for reported in (status, target, target):
            provider.report_payment(payment, reported)
        after = admin.get(f"{PAYMENTS}/{payment['id']}").json()["status"]
        assert after in {status, target}
        made |= {(after, "PROVIDER")} - {(status, "PROVIDER")}

    assert made == documented("PaymentStatus", status)
    assert [] == audit()


@pytest.mark.parametrize("status", SCHEMAS["PaymentStatus"]["enum"])
def test_people_cancel_only_a_payment_that_can_be_canceled(
    admin: Client,
    alice: Client,
    bob: Client,
    pay: Callable[[], dict[str, Any]],
    provider: Provider,
    status: str,
) -> None:
    for client in (alice, admin, bob):
        payment = pay()
        provider.report_payment(payment, status)
        client.post(f"{PAYMENTS}/{payment['id']}/cancel")

        after = admin.get(f"{PAYMENTS}/{payment['id']}").json()["status"]
        assert after == status or (after, "PROVIDER") in documented("PaymentStatus", status)
        assert after == status or client is not bob


@pytest.mark.parametrize("status", SCHEMAS["RefundStatus"]["enum"])
def test_reports_make_only_the_documented_transitions_of_a_refund(
    admin: Client, pay: Callable[[], dict[str, Any]], provider: Provider, status: str
) -> None:
    made = set()
    for target in SCHEMAS["RefundStatus"]["enum"]:
        payment = pay()
        provider.report_payment(payment, "SUCCEEDED")
        # The first report of a refund creates it, unless it has failed already.
        for reported in ("PENDING", status, target, target):
            provider.report_refund(payment, reported)
        (refund,) = admin.get(f"{PAYMENTS}/{payment['id']}/refunds").json()["items"]
        assert refund["status"] in {status, target}
        made |= {(refund["status"], "PROVIDER")} - {(status, "PROVIDER")}

    assert made == documented("RefundStatus", status)
    assert [] == audit()
