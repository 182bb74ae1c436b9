"""GET /users/me/export."""

from __future__ import annotations

from typing import Any

import httpx2
from httpx2 import Client

from tests.support.contract_requests import assert_documented, json_request
from tests.support.database import Sql
from tests.support.mail_shop import MailShop
from tests.support.problems import assert_problem
from tests.support.shop import (
    LONDON,
    ORDERS,
    add_product,
    cancel_order,
    create_payment,
    create_refund,
    place_order,
    record_payment,
)

ME = "/api/v1/users/me"
EXPORT = f"{ME}/export"


def export(client: Client) -> dict[str, Any]:
    response = client.get(EXPORT)
    assert 200 == response.status_code, response.text
    assert_documented(json_request("export_me"), response)
    exported: dict[str, Any] = response.json()
    return exported


def items(client: Client, path: str) -> Any:
    return client.get(path).json()["items"]


def test_the_export_has_what_the_operations_return(admin: Client, alice: Client) -> None:
    mug = add_product(admin)
    order = place_order(
        alice, (mug, 2), shipping_address=LONDON, note="Ring twice.", **{"Idempotency-Key": "k"}
    ).json()
    payment = record_payment(admin, order, 3980, reference="Transfer 7").json()
    create_refund(admin, payment, 1990)

    exported = export(alice)

    assert alice.get(ME).json() == exported["user"]
    (record,) = exported["orders"]
    path = f"{ORDERS}/{order['id']}"
    assert {**alice.get(path).json(), "allowed_transitions": []} == record["order"]
    assert items(alice, f"{path}/events") == record["events"]
    assert items(alice, f"{path}/payments") == record["payments"]
    assert items(alice, f"/api/v1/payments/{payment['id']}/refunds") == record["refunds"]
    user_id = exported["user"]["id"]
    events = items(admin, f"/api/v1/security-events?user_id={user_id}&sort=created_at")
    assert ["REGISTERED", "SIGNED_IN", "DATA_EXPORTED"] == [event["type"] for event in events]
    assert events == exported["security_events"]
    (session,) = exported["sessions"]
    (listed,) = items(alice, "/api/v1/auth/sessions")
    assert listed.items() >= {"id": session["id"], "user_agent": session["user_agent"]}.items()
    assert ("127.0.0.1", None) == (session["address"], session["revoked_at"])


def test_the_export_is_a_file_that_no_cache_stores(alice: Client) -> None:
    headers = alice.get(EXPORT).headers

    assert 'attachment; filename="personal-data.json"' == headers["content-disposition"]
    assert ("application/json", "no-store") == (headers["content-type"], headers["cache-control"])


def test_the_export_has_nothing_of_other_users(admin: Client, alice: Client, bob: Client) -> None:
    place_order(bob, (add_product(admin), 1))

    response = alice.get(EXPORT)

    assert [] == response.json()["orders"]
    assert bob.get(ME).json()["id"] not in response.text


def test_the_client_of_an_administrator_is_not_exported(
    admin: Client, alice: Client, base_url: str
) -> None:
    path = f"/api/v1/users/{alice.get(ME).json()['id']}"
    admin.patch(path, json={"active": False}, headers={"User-Agent": "Staff computer"})
    admin.patch(path, json={"active": True}, headers={"User-Agent": "Staff computer"})
    events = admin.get(f"{path}/export").json()["security_events"]

    changed = [event for event in events if event["type"] in {"USER_DISABLED", "USER_ENABLED"}]
    assert 2 == len(changed)
    assert {("", "")} == {(event["address"], event["user_agent"]) for event in changed}


def test_all_sessions_are_exported_also_ended_ones(mail_shop: MailShop) -> None:
    mail_shop.register("ada@example.com")
    first = mail_shop.bearer("ada@example.com")
    mail_shop.client.post("/api/v1/auth/logout", headers=first)

    response = mail_shop.client.get(EXPORT, headers=mail_shop.bearer("ada@example.com"))

    ended = [session["revoked_at"] is not None for session in response.json()["sessions"]]
    assert [True, False] == ended


def test_mails_are_exported_without_their_texts(mail_shop: MailShop) -> None:
    mail_shop.register("ada@example.com")

    response = mail_shop.client.get(EXPORT, headers=mail_shop.bearer("ada@example.com"))

    assert_documented(json_request("export_me"), response)
    (mail,) = response.json()["mails"]
    assert ("EMAIL_VERIFICATION", "SENT") == (mail["kind"], mail["outcome"])
    assert mail["subject_id"] == response.json()["user"]["id"]


def test_the_secrets_of_open_payments_are_not_exported(
    admin: Client, alice: Client, sql: Sql
) -> None:
    order = place_order(alice, (add_product(admin), 1)).json()
    create_payment(alice, order)
    sql("UPDATE payment SET client_secret = 'secret', redirect_url = '/pay'")
    (payment,) = items(alice, f"{ORDERS}/{order['id']}/payments")
    assert ("secret", "/pay") == (payment["client_secret"], payment["redirect_url"])

    ((exported,),) = [record["payments"] for record in export(alice)["orders"]]

    assert {**payment, "client_secret": None, "redirect_url": None} == exported


def test_several_batches_of_everything_are_exported_once(
    admin: Client, alice: Client, sql: Sql
) -> None:
    mug = add_product(admin, stock=1000)
    orders = [place_order(alice, (mug, 1)).json() for _ in range(205)]
    for order in orders:
        assert 200 == cancel_order(alice, order).status_code
    user_id = alice.get(ME).json()["id"]
    sql(
        "INSERT INTO session (id, user_id, user_agent, address, created_at, last_used_at,"
        " expires_at) SELECT gen_random_uuid(), %s, '', '', now(), now(), now()"
        " FROM generate_series(1, 204)",
        user_id,
    )
    sql(
        "INSERT INTO mail (kind, subject_id, user_id, created_at, next_attempt_at)"
        " SELECT kind, id, user_id, now(), now() FROM orders,"
        " (VALUES ('ORDER_PLACED'), ('ORDER_CANCELLED')) AS mail (kind)"
    )

    exported = export(alice)

    assert [order["id"] for order in orders] == [one["order"]["id"] for one in exported["orders"]]
    assert {("PLACED", "STATUS_CHANGED")} == {
        tuple(event["type"] for event in record["events"]) for record in exported["orders"]
    }
    assert 205 == len({session["id"] for session in exported["sessions"]})
    mails = {(mail["kind"], mail["subject_id"]) for mail in exported["mails"]}
    assert 410 == len(mails) == len(exported["mails"])


def test_a_page_of_another_origin_cannot_download_it(alice: Client) -> None:
    response = alice.get(EXPORT, headers={"Sec-Fetch-Site": "cross-site"})

    assert_problem(response, 403, "cross_site_request")


def test_a_session_is_required(anonymous: Client) -> None:
    assert_problem(anonymous.get(EXPORT), 401, "unauthenticated")


def test_a_disabled_user_gets_nothing(alice: Client, sql: Sql) -> None:
    sql("UPDATE users SET active = false")

    response: httpx2.Response = alice.get(EXPORT)

    assert_problem(response, 401, "session_expired")
