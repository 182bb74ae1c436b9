"""Races of concurrent requests: for the last units of a product, and for one Idempotency-Key."""

from __future__ import annotations

from collections import Counter
from functools import partial
from http import HTTPStatus
from uuid import uuid4

import httpx2

from orderly.verification.checks import Found
from orderly.verification.client import ExampleClient
from orderly.verification.contract import Contract
from orderly.verification.requests import Request, Violation

_ROUNDS = 5
_CUSTOMERS_REQUESTS = 16
_UNITS = 5
_REPLAYED = "Idempotent-Replayed"


def last_units(_contract: Contract) -> Found:
    """Yield the check that concurrent orders never take more than the stock."""
    yield "create_order", "create_order", _sell_the_last_units


def _sell_the_last_units(client: ExampleClient) -> None:
    sessions = (client.sign_in_ada(), client.sign_in_another())
    for _ in range(_ROUNDS):
        product = client.create_product(stock=_UNITS)
        body = {"items": [{"product_id": product["id"], "quantity": 1}]}
        orders = []
        for number in range(_CUSTOMERS_REQUESTS):
            order = client.request("create_order", body)
            order.session = sessions[number % 2]
            orders.append(order)
        responses = client.race(orders)
        sold = sum(response.status_code == HTTPStatus.CREATED for response in responses)
        read = client.request("get_product")
        read.session = client.sign_in_admin()
        read.path = {"product_id": product["id"]}
        left = client.send_successfully(read).json()["stock"]
        if (sold, left) != (_UNITS, 0):
            statuses = Counter(response.status_code for response in responses)
            raise Violation(
                f"{_CUSTOMERS_REQUESTS} concurrent orders of one unit, {_UNITS} in stock:"
                f" {sold} orders, {left} units left. Statuses: {dict(statuses)}"
            )


def idempotency_keys(contract: Contract) -> Found:
    """Yield checks that concurrent requests with one key are processed once."""
    for operation_id, operation in contract.operations.items():
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation["parameters"]):
            yield operation_id, operation_id, partial(_is_done_once, operation_id=operation_id)


def _is_done_once(client: ExampleClient, *, operation_id: str) -> None:
    for _ in range(_ROUNDS):
        request = client.prepare(operation_id)
        request.headers["Idempotency-Key"] = str(uuid4())
        request.may_be_limited = True
        responses = client.race([request] * 8)
        _check_one_result(operation_id, responses)
        request.may_be_limited = False
        replayed = client.send_successfully(request)
        if replayed.headers.get(_REPLAYED) != "true":
            raise Violation(f"{operation_id}: a repeated request has no header {_REPLAYED}: true")
        _check_one_result(operation_id, [*responses, replayed])
        _check_effect(client, request)


def _check_one_result(operation_id: str, responses: list[httpx2.Response]) -> None:
    """Check that all successes are about the same object, and only one of them is the first."""
    successes = [response for response in responses if response.is_success]
    created = {response.json()["id"] for response in successes}
    first = [response for response in successes if _REPLAYED not in response.headers]
    if len(created) != 1 or len(first) != 1:
        statuses = Counter(response.status_code for response in responses)
        raise Violation(
            f"{operation_id}: {len(responses)} requests with one Idempotency-Key created"
            f" {len(created)} objects, and {len(first)} responses are no replay."
            f" Statuses: {dict(statuses)}"
        )


def _check_effect(client: ExampleClient, request: Request) -> None:
    """Check that an order has taken its units once."""
    if request.operation_id != "create_order":
        return
    for line in request.body["items"]:
        read = client.request("get_product")
        read.session = client.sign_in_admin()
        read.path = {"product_id": line["product_id"]}
        stock = client.send_successfully(read).json()["stock"]
        if stock != client.initial_stock - line["quantity"]:
            raise Violation(f"create_order: repeated orders with one key have left {stock} units")
