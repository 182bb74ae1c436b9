"""kill -9 while a payment succeeds at the sandbox: after the restart, the order is paid."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from integrations.payments.sandbox import Outcome, SandboxProvider
from tests.support.accounts import demo_client
from tests.support.processes import Server, run_server, wait_until

ORDERS = "/api/v1/orders"


def start_payment(server: Server) -> dict[str, Any]:
    """Order a product, and start to pay; return the payment."""
    with demo_client(server) as client:
        product = client.get("/api/v1/products?in_stock=true&limit=1").json()["items"][0]
        items = [{"product_id": product["id"], "quantity": 1}]
        order = client.post(ORDERS, json={"items": items}).json()
        response = client.post(f"{ORDERS}/{order['id']}/payments")
        assert 201 == response.status_code, response.text
        payment: dict[str, Any] = response.json()
        return payment


def test_an_order_whose_money_arrives_while_the_server_is_dead_is_paid_after_the_restart(
    tmp_path: Path,
) -> None:
    data_dir = tmp_path / "data"
    with run_server(data_dir, "--demo") as server:
        payment = start_payment(server)
        server.send_signal(signal.SIGKILL)
        server.process.wait()
    # Another process does what the customer's browser does at a real provider.
    SandboxProvider(data_dir).settle(payment["reference"], Outcome.SUCCEED)

    with run_server(data_dir, "--demo") as server, demo_client(server) as client:
        path = f"{ORDERS}/{payment['order_id']}"
        wait_until(lambda: client.get(path).json()["status"] == "PAID")

        events = client.get(f"{path}/events").json()["items"]
        assert 1 == sum(event["to_status"] == "PAID" for event in events)
        assert payment["amount"] == client.get(path).json()["amount_paid"]
