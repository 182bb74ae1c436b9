"""POST /payment-notifications/{provider}: Stripe's signed events, at a shop that uses Stripe."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from httpx2 import Client

from tests.support.problems import assert_problem
from tests.support.processes import run_server
from tests.support.settings import NO_RATE_LIMIT_VARIABLES, SIGNING_KEY
from tests.support.shop import ORDERS, add_product, place_order
from tests.support.stripe_server import StripeServer, run_stripe_server, sign, stripe_settings

NOTIFICATIONS = "/api/v1/payment-notifications"
URL = f"{NOTIFICATIONS}/stripe"
JSON = {"Content-Type": "application/json; charset=utf-8"}  # as Stripe sends it
SUCCEEDED = "payment_intent.succeeded"


@pytest.fixture(scope="module")
def fake() -> Iterator[StripeServer]:
    with run_stripe_server() as server:
        yield server


@pytest.fixture(scope="module")
def base_url(
    runtime_url: str, fake: StripeServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Start a server that uses the fake of Stripe; the worker does not run."""
    with run_server(
        tmp_path_factory.mktemp("stripe") / "data",
        ORDERLY_DATABASE_URL=runtime_url,
        ORDERLY_SIGNING_KEY=SIGNING_KEY,
        ORDERLY_COOKIE_SECURE="false",
        ORDERLY_VALIDATE_RESPONSES="true",
        ORDERLY_WORKER="false",
        **stripe_settings(fake),
        **NO_RATE_LIMIT_VARIABLES,
    ) as server:
        yield server.url


@pytest.fixture
def order(alice: Client, admin: Client) -> dict[str, Any]:
    placed: dict[str, Any] = place_order(alice, (add_product(admin), 2)).json()
    return placed


@pytest.fixture
def intent(alice: Client, order: dict[str, Any], fake: StripeServer) -> dict[str, Any]:
    """Start a payment of the order; return its PaymentIntent, which the customer has paid."""
    response = alice.post(f"{ORDERS}/{order['id']}/payments")
    assert 201 == response.status_code, response.text
    reference = response.json()["reference"]
    fake.set_status(reference, "succeeded")
    return fake.intents[reference]


def notify(client: Client, body: bytes, headers: dict[str, str]) -> httpx2.Response:
    return client.post(URL, content=body, headers={**JSON, **headers})


def outcomes(admin: Client) -> list[tuple[str, str, int]]:
    """Return the event id, the outcome and the number of deliveries of each notification."""
    items = admin.get(NOTIFICATIONS).json()["items"]
    return [(item["event_id"], item["outcome"], item["deliveries"]) for item in items]


def test_a_signed_event_pays_the_order(
    anonymous: Client,
    alice: Client,
    admin: Client,
    order: dict[str, Any],
    fake: StripeServer,
    intent: dict[str, Any],
) -> None:
    response = notify(anonymous, *fake.event("evt_1", SUCCEEDED, intent))

    assert (204, b"") == (response.status_code, response.content)
    paid = alice.get(f"{ORDERS}/{order['id']}").json()
    assert ("PAID", "PAID", order["total"]) == (
        paid["status"],
        paid["payment_status"],
        paid["amount_paid"],
    )
    assert [("evt_1", "APPLIED", 1)] == outcomes(admin)
    last = alice.get(f"{ORDERS}/{order['id']}/events").json()["items"][-1]
    assert ("PAID", "PROVIDER") == (last["to_status"], last["actor"]["kind"])


def test_an_event_that_is_delivered_many_times_at_once_is_applied_once(
    anonymous: Client,
    alice: Client,
    admin: Client,
    order: dict[str, Any],
    fake: StripeServer,
    intent: dict[str, Any],
) -> None:
    event = fake.event("evt_1", SUCCEEDED, intent)

    with ThreadPoolExecutor(8) as executor:
        responses = list(executor.map(lambda _: notify(anonymous, *event), range(8)))

    assert {204} == {response.status_code for response in responses}
    assert [("evt_1", "APPLIED", 8)] == outcomes(admin)
    events = alice.get(f"{ORDERS}/{order['id']}/events").json()["items"]
    assert 1 == sum(one["to_status"] == "PAID" for one in events)


def test_an_event_of_an_unknown_payment_is_kept(
    anonymous: Client, admin: Client, fake: StripeServer, intent: dict[str, Any]
) -> None:
    stranger = {**intent, "id": "pi_of_another_shop", "metadata": {}}

    response = notify(anonymous, *fake.event("evt_1", SUCCEEDED, stranger))

    assert 204 == response.status_code
    assert [("evt_1", "UNMATCHED", 1)] == outcomes(admin)


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"data": {"object": {}}}', b'{"": {"": "\\ud909"}}', b"NaN"]
)
def test_an_event_of_a_kind_that_is_not_used_is_only_stored(
    anonymous: Client, admin: Client, body: bytes
) -> None:
    response = notify(anonymous, body, sign(body))

    assert 204 == response.status_code
    ((_, outcome, _),) = outcomes(admin)
    assert "IGNORED" == outcome


def test_an_event_without_a_valid_signature_changes_nothing(
    anonymous: Client,
    alice: Client,
    admin: Client,
    order: dict[str, Any],
    fake: StripeServer,
    intent: dict[str, Any],
) -> None:
    body, headers = fake.event("evt_1", SUCCEEDED, intent)
    old = fake.event("evt_1", SUCCEEDED, intent, age=301)

    # Equal JSON, other bytes: the signature covers the bytes.
    for changed in ((body.replace(b" ", b""), headers), (body, {}), old):
        assert_problem(notify(anonymous, *changed), 400, "invalid_signature")

    assert [] == outcomes(admin)
    assert "PENDING" == alice.get(f"{ORDERS}/{order['id']}").json()["status"]


def test_the_credentials_of_a_user_replace_no_signature(admin: Client) -> None:
    assert_problem(notify(admin, b"{}", {}), 400, "invalid_signature")


@pytest.mark.parametrize("provider", ["manual", "sandbox", "paypal"])
def test_a_provider_that_the_shop_does_not_use_is_not_found(
    anonymous: Client, provider: str
) -> None:
    body = b"{}"

    response = anonymous.post(
        f"{NOTIFICATIONS}/{provider}", content=body, headers={**JSON, **sign(body)}
    )

    assert_problem(response, 404, "not_found")


def test_the_size_of_a_notification_is_limited(anonymous: Client, admin: Client) -> None:
    largest = b'{"text": "%s"}' % (b"x" * (256 * 1024 - 12))
    too_large = largest + b" "
    assert 256 * 1024 == len(largest)

    assert 204 == notify(anonymous, largest, sign(largest)).status_code
    problem = assert_problem(
        notify(anonymous, too_large, sign(too_large)), 413, "payload_too_large"
    )

    assert 256 * 1024 == problem["max_bytes"]
    assert 1 == len(outcomes(admin))


def test_a_notification_is_refused_by_its_media_type_before_its_signature(
    anonymous: Client,
) -> None:
    response = anonymous.post(URL, content=b"{}", headers={"Content-Type": "text/plain"})

    assert_problem(response, 415, "unsupported_media_type")
