"""GET /users/{user_id}/export."""

from __future__ import annotations

from uuid import uuid4

from httpx2 import Client

from tests.support.contract_requests import assert_documented, json_request
from tests.support.problems import assert_problem
from tests.support.shop import (
    LONDON,
    add_product,
    create_refund,
    place_order,
    record_payment,
)

USERS = "/api/v1/users"


def test_an_administrator_gets_the_document_of_the_user(admin: Client, alice: Client) -> None:
    order = place_order(alice, (add_product(admin), 2), shipping_address=LONDON).json()
    create_refund(admin, record_payment(admin, order, 3980).json(), 1990)
    expected = alice.get(f"{USERS}/me/export").json()

    response = admin.get(f"{USERS}/{expected['user']['id']}/export")

    assert 200 == response.status_code
    assert_documented(json_request("export_user"), response)
    exported = response.json()
    newest = exported["security_events"].pop()
    assert expected == exported
    assert ("DATA_EXPORTED", "export_user") == (newest["type"], newest["detail"])
    assert admin.get(f"{USERS}/me").json()["id"] == newest["actor_user_id"]


def test_an_unknown_user_is_a_404(admin: Client) -> None:
    assert_problem(admin.get(f"{USERS}/{uuid4()}/export"), 404, "not_found")


def test_only_administrators_can_export_others(alice: Client, anonymous: Client) -> None:
    path = f"{USERS}/{alice.get(f'{USERS}/me').json()['id']}/export"

    assert_problem(alice.get(path), 403, "forbidden")
    assert_problem(anonymous.get(path), 401, "unauthenticated")
