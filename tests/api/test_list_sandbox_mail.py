"""`GET /sandbox/mail`: the mails that a shop without a mail server keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.accounts import demo_client
from tests.support.problems import assert_problem
from tests.support.processes import Server, run_server, wait_until
from tests.support.shop import place_order

MAIL = "/api/v1/sandbox/mail"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("shop"), "--demo") as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    with demo_client(server) as client:
        yield client


def mails_about(client: httpx2.Client, order: dict[str, Any]) -> list[dict[str, Any]]:
    items = client.get(MAIL, params={"limit": 100}).json()["items"]
    return [mail for mail in items if order["number"] in mail["subject"]]


def order_something(client: httpx2.Client) -> dict[str, Any]:
    found = client.get("/api/v1/products", params={"in_stock": "true"}).json()["items"]
    order: dict[str, Any] = place_order(client, (found[0], 1)).json()
    return order


def test_an_order_is_confirmed_by_a_mail_that_anyone_can_read(
    server: Server, client: httpx2.Client
) -> None:
    order = order_something(client)
    wait_until(lambda: mails_about(client, order))

    (mail,) = mails_about(client, order)
    assert f"Your order {order['number']}" == mail["subject"]
    assert f"{server.url}/examples/storefront/" in mail["text"]
    assert f"{server.url}/examples/storefront/" in mail["html"]
    me = client.get("/api/v1/users/me").json()
    assert me["email"] == mail["to"]
    assert [] == server.get(f"{MAIL}?to=nobody@example.com").json()["items"]
    to_me = server.get(f"{MAIL}?to={me['email'].upper()}&limit=1").json()["items"]
    assert [me["email"]] == [found["to"] for found in to_me]


def test_the_html_of_a_mail_runs_no_scripts_and_can_be_framed_by_the_page_only(
    server: Server, client: httpx2.Client
) -> None:
    order = order_something(client)
    wait_until(lambda: mails_about(client, order))
    (mail,) = mails_about(client, order)

    response = server.get(f"/sandbox/mail/{mail['id']}")

    assert 200 == response.status_code
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "sandbox allow-top-navigation-by-user-activation" in policy
    assert '<base target="_top">' in response.text
    for unknown in ("x", "..%2f..%2fsigning-keys.json", "%2e%2e"):
        assert 404 == server.get(f"/sandbox/mail/{unknown}").status_code


def test_a_shop_without_the_sandbox_has_no_such_mails(tmp_path: Path) -> None:
    with run_server(tmp_path / "data", ORDERLY_SANDBOX_MAIL="false") as server:
        assert_problem(server.get(MAIL), 404, "not_found")
        assert 404 == server.get("/sandbox/mail").status_code
