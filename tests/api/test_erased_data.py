"""After a deletion, nothing in the whole database names the person.

The person has used everything that can store personal data. A new table or column with text fails
these tests until it is listed here, and erased if it can name a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from httpx2 import Client

from domain.mail import ACCOUNT_DELETED
from services.audit import audit
from tests.support.accounts import PASSWORD
from tests.support.database import Sql
from tests.support.mail_shop import AUTH, ME, MailShop
from tests.support.personal_data import columns_with, text_columns
from tests.support.processes import run_server
from tests.support.settings import NO_RATE_LIMIT_VARIABLES, SIGNING_KEY
from tests.support.shop import (
    ORDERS,
    add_product,
    cancel_order,
    place_order,
    record_payment,
    update_order,
    update_status,
)
from tests.support.smtp_server import SmtpServer, smtp_settings
from tests.support.stripe_server import StripeServer, run_stripe_server, stripe_settings

EMAIL, NEW_EMAIL = "zenobia.quaxwell@mail.example", "z.newquax@mail.example"
NAME = "Zenobia Quaxwéll"
PHONE = "+44 7700 900123"
ADDRESS = {
    "recipient": NAME,
    "addition": f"Phone {PHONE}",
    "street": "7 Marmotgasse",
    "postal_code": "QX7 7QX",
    "city": "Quaxhaven",
    "country": "GB",
}
BROWSER, CLIENT_ADDRESS = "QuaxBrowser/7.7", "203.0.113.177"
KEY = "quax-cart-0001"
NOTE = "Leave it with the marmot."
STAFF_NOTE = "Customer called, very polite marmot owner."
REFERENCE = "Transfer from Quaxwell family"
TRACKING_NUMBER = "QUAX0000777GB"
NEEDLES = (
    EMAIL,
    NEW_EMAIL,
    NAME,
    "quaxwell",
    PHONE,
    *(value for value in ADDRESS.values() if value != "GB"),
    BROWSER,
    CLIENT_ADDRESS,
    KEY,
    NOTE,
    STAFF_NOTE,
    REFERENCE,
    TRACKING_NUMBER,
)

# The columns that name the person before the deletion.
NAMING = {
    *("users.email", "users.name", "users.search"),
    *("session.user_agent", "session.address", "session.network"),
    "account_token.email",
    *("orders.shipping_address", "orders.note", "orders.tracking_number", "orders.carrier"),
    *("order_event_reason.reason", "order_event_change.before", "order_event_change.after"),
    *("payment.reference", "payment.client_secret", "payment.redirect_url"),
    "refund.reason",
    "payment_notification.body",
    "idempotency_key.key",
    *("mail.recipient", "mail.details", "mail.failure"),
    *("security_event_source.address", "security_event_source.user_agent"),
}
# Columns that name nobody. Read this before you add one: can a client or an employee type a name
# there, or can it be linked to a person outside of this shop?
NAMING_NOBODY = {
    # Random, or hashes of secrets and requests
    *("users.password_hash", "refresh_token.token_hash", "account_token.token_hash"),
    *("idempotency_key.fingerprint", "throttle.bucket"),
    # Codes that this application writes
    *("users.role", "account_token.kind", "mail.kind", "mail.outcome"),
    *("orders.number", "orders.status", "orders.currency"),
    *("order_event.type", "order_event.from_status", "order_event.to_status"),
    *("order_event.actor_kind", "order_event.request_id", "order_event_change.member"),
    *("payment.provider", "payment.method", "payment.currency", "payment.status"),
    *("refund.status", "refund.cause"),
    *("payment_notification.provider", "payment_notification.outcome"),
    *("stock_movement.kind", "stock_movement.reason", "stock_movement.request_id"),
    *("security_event.type", "security_event.from_role", "security_event.to_role"),
    *("security_event.detail", "security_event.request_id", "worker_heartbeat.name"),
    # Codes and ids of payment providers, and which payment an event is about
    *("payment.failure_code", "refund.failure_code", "refund.reference"),
    *("payment_notification.event_id", "payment_notification.type"),
    *("payment_notification.news", "payment_notification.detail"),
    # The catalogue
    *("product.sku", "product.name", "product.description", "product.images"),
    *("product.search", "product.called"),
    *("order_item.sku", "order_item.name"),
    # Written by servers of the version before only, during a rolling upgrade
    *("order_event.reason", "security_event.address", "security_event.user_agent"),
    # The history of migrations
    *("schema_migration.name", "schema_migration.checksum"),
}


@pytest.fixture(scope="module")
def fake() -> Iterator[StripeServer]:
    with run_stripe_server() as server:
        yield server


@pytest.fixture(scope="module")
def base_url(
    runtime_url: str,
    mail_server: SmtpServer,
    fake: StripeServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Run a server that sends mails and uses the fake of Stripe; the worker does not run."""
    with run_server(
        tmp_path_factory.mktemp("erased") / "data",
        ORDERLY_DATABASE_URL=runtime_url,
        ORDERLY_SIGNING_KEY=SIGNING_KEY,
        ORDERLY_COOKIE_SECURE="false",
        ORDERLY_VALIDATE_RESPONSES="true",
        ORDERLY_WORKER="false",
        ORDERLY_TRUSTED_PROXIES="127.0.0.1",
        **smtp_settings(mail_server),
        **stripe_settings(fake),
        **NO_RATE_LIMIT_VARIABLES,
    ) as server:
        yield server.url


@pytest.fixture
def mails(shop: str, base_url: str, mail_server: SmtpServer) -> Iterator[MailShop]:
    """Return the mails of this server."""
    del shop
    with httpx2.Client(base_url=base_url, timeout=60) as client:
        found = MailShop(client, mail_server)
        found.bind()
        yield found


@pytest.fixture
def person(
    base_url: str, mails: MailShop, admin: Client, fake: StripeServer, sql: Sql
) -> Iterator[Client]:
    """Return the client of a person who has left traces everywhere."""
    headers = {"User-Agent": BROWSER, "X-Forwarded-For": CLIENT_ADDRESS}
    with httpx2.Client(base_url=base_url, timeout=60, headers=headers) as client:
        _create_account(client, mails)
        _buy(client, admin, fake)
        _leave_mails(client, mails)
        # No provider of these tests sets the first one, and the second one is not the person's name
        sql("UPDATE payment SET redirect_url = %s, client_secret = %s", f"/pay?for={KEY}", KEY)
        yield client


def _create_account(client: Client, mails: MailShop) -> None:
    body = {"email": EMAIL, "name": NAME, "password": PASSWORD}
    assert 201 == client.post(f"{AUTH}/register", json=body).status_code
    mails.deliver()
    wrong = {"email": EMAIL, "password": "not the password"}
    assert 401 == client.post(f"{AUTH}/login", json=wrong).status_code
    for _ in range(2):
        login = {"email": EMAIL, "password": PASSWORD}
        assert 200 == client.post(f"{AUTH}/login", json=login).status_code
    # Refused: the role is missing. Who tried it is in the security log.
    assert 403 == client.get("/api/v1/users").status_code


def _buy(client: Client, admin: Client, fake: StripeServer) -> None:
    mug = add_product(admin, stock=100)
    details = {"shipping_address": ADDRESS, "note": NOTE}
    order = place_order(client, (mug, 2), **details, **{"Idempotency-Key": KEY}).json()
    payment = client.post(
        f"{ORDERS}/{order['id']}/payments", headers={"Idempotency-Key": f"{KEY}-pay"}
    ).json()
    intent = fake.intents[payment["reference"]]
    fake.set_status(payment["reference"], "succeeded")
    billing = {"billing_details": {"name": NAME, "email": EMAIL, "phone": PHONE}}
    _notify(client, fake.event("evt_paid", "payment_intent.succeeded", {**intent, **billing}))
    assert (
        200
        == update_status(
            admin, order, "SHIPPED", tracking_number=TRACKING_NUMBER, reason=STAFF_NOTE
        ).status_code
    )
    courier = f"{NAME}, by car"
    corrected = update_order(admin, order, tracking_number=f"{TRACKING_NUMBER}-2", carrier=courier)
    assert 200 == corrected.status_code
    assert 200 == update_status(admin, order, "DELIVERED").status_code
    refund = {"amount": {"amount": 1990, "currency": "EUR"}, "reason": STAFF_NOTE}
    assert 201 == admin.post(f"/api/v1/payments/{payment['id']}/refunds", json=refund).status_code
    # An event that is not used, and one that arrived before its payment was known.
    customer = {"id": "cus_1", "object": "customer", "email": EMAIL, "name": NAME}
    _notify(client, fake.event("evt_customer", "customer.created", customer))
    unknown = {**intent, **billing, "id": "pi_unknown", "metadata": {}}
    _notify(client, fake.event("evt_early", "payment_intent.succeeded", unknown))
    by_hand = place_order(client, (mug, 1), **details).json()
    record_payment(admin, by_hand, 1990, method="BANK_TRANSFER", reference=REFERENCE)
    assert 200 == cancel_order(admin, by_hand, reason=STAFF_NOTE).status_code
    assert 200 == cancel_order(client, place_order(client, (mug, 1), **details).json()).status_code


def _notify(client: Client, event: tuple[bytes, dict[str, str]]) -> None:
    body, signature = event
    headers = {**signature, "Content-Type": "application/json"}
    path = "/api/v1/payment-notifications/stripe"
    assert 204 == client.post(path, content=body, headers=headers).status_code


def _leave_mails(client: Client, mails: MailShop) -> None:
    """Let one mail be refused, one wait for the worker, and one contain a token."""
    mails.smtp.replies_to_recipients.append(f"550 5.1.1 <{EMAIL}> is unknown")
    mails.deliver()
    change = {"email": NEW_EMAIL, "current_password": PASSWORD}
    assert 202 == client.put(f"{ME}/email", json=change).status_code
    mails.deliver()
    assert 202 == client.put(f"{ME}/email", json=change).status_code
    assert 202 == mails.request_reset(EMAIL).status_code


def delete(client: Client) -> Any:
    return client.request("DELETE", ME, json={"current_password": PASSWORD})


def test_the_person_is_in_every_column_that_can_name_one(person: Client, sql: Sql) -> None:
    """So the next test searches where there was something to find."""
    del person

    assert NAMING == columns_with(sql, NEEDLES).keys()


def test_every_column_with_text_is_known(sql: Sql) -> None:
    assert NAMING | NAMING_NOBODY == text_columns(sql)


def test_nothing_in_the_database_names_a_deleted_person(
    person: Client, mails: MailShop, sql: Sql
) -> None:
    # The unknown payment of the early event becomes known as one of this person.
    sql("UPDATE payment SET reference = 'pi_unknown' WHERE provider = 'stripe'")

    assert 202 == delete(person).status_code

    assert {"mail.recipient": {EMAIL, "quaxwell"}} == columns_with(sql, NEEDLES)
    (mail,) = mails.deliver()
    assert (EMAIL, "Your account was deleted") == (mail["To"], mail["Subject"])
    assert {} == columns_with(sql, NEEDLES)
    # These name nobody, but they are secrets of the person. The administrator still has one.
    assert [(1,)] == sql("SELECT count(*) FROM refresh_token")
    assert [] == audit()


def test_a_refused_last_mail_leaves_no_address(person: Client, mails: MailShop, sql: Sql) -> None:
    sql("UPDATE payment SET reference = 'pi_unknown' WHERE provider = 'stripe'")
    delete(person)
    mails.smtp.replies_to_recipients.append(f"550 5.1.1 <{EMAIL}> is unknown")

    assert [] == mails.deliver()

    assert [(ACCOUNT_DELETED, "REFUSED")] == sql("SELECT kind, outcome FROM mail")
    assert {} == columns_with(sql, NEEDLES)


def test_what_arrives_after_the_deletion_names_nobody(
    person: Client, mails: MailShop, fake: StripeServer, anonymous: Client, sql: Sql
) -> None:
    sql("UPDATE payment SET reference = 'pi_unknown' WHERE provider = 'stripe'")
    ((payment_id,),) = sql("SELECT id FROM payment WHERE provider = 'stripe'")
    delete(person)
    mails.deliver()
    intent = {
        "id": "pi_unknown",
        "object": "payment_intent",
        "amount": 3980,
        "currency": "eur",
        "status": "succeeded",
        "metadata": {"payment_id": str(payment_id)},
        "billing_details": {"name": NAME, "email": EMAIL, "phone": PHONE},
    }

    _notify(anonymous, fake.event("evt_late", "payment_intent.succeeded", intent))
    assert 401 == person.get("/api/v1/users").status_code
    assert 401 == mails.sign_in(EMAIL).status_code
    assert 202 == mails.request_reset(EMAIL).status_code
    mails.deliver()

    assert {} == columns_with(sql, NEEDLES)


def test_the_ledger_and_the_logs_are_kept(person: Client, mails: MailShop, sql: Sql) -> None:
    kept = {
        "orders": "id, number, user_id, status, total, amount_paid, amount_refunded, created_at",
        "order_item": "*",
        "payment": "id, order_id, provider, amount, amount_refunded, status, created_at",
        "refund": "id, payment_id, amount, status, created_at",
        "stock_movement": "*",
    }

    def read() -> dict[str, list[Any]]:
        return {table: sql(f"SELECT {columns} FROM {table}") for table, columns in kept.items()}

    before = {table: sorted(rows) for table, rows in read().items()}
    events = sql("SELECT id, type, user_id, actor_user_id FROM security_event ORDER BY id")

    assert 202 == delete(person).status_code

    assert before == {table: sorted(rows) for table, rows in read().items()}
    after = sql("SELECT id, type, user_id, actor_user_id FROM security_event ORDER BY id")
    assert events == after[: len(events)]
    assert {"SESSION_REVOKED", "USER_DELETED"} == {row[1] for row in after[len(events) :]}
    erased = sql("SELECT count(*) FROM order_event WHERE type = 'PERSONAL_DATA_ERASED'")
    assert [(3,)] == erased
    del mails
