"""Stateful tests: Hypothesis generates sequences of requests, some of them concurrent.

A small model predicts the result of each request; the server's responses and its audit must agree
with the model. PYTEST_ORDER_MACHINE_EXAMPLES sets the number of sequences (`tox -e deep`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count, permutations
from threading import Barrier
from typing import Any, NamedTuple

import httpx2
import psycopg2
import pytest
from httpx2 import Client
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from services import orders
from services.audit import audit
from tests.support.problems import assert_problem
from tests.support.services import make_actor
from tests.support.shop import (
    LONDON,
    ORDERS,
    PRODUCTS,
    add_product,
    cancel_order,
    get_stock,
    place_order,
    update_status,
)

EXAMPLES = int(os.environ.get("PYTEST_ORDER_MACHINE_EXAMPLES", "12"))
STEPS = 30
ADMIN = "admin"
CLIENTS = ("alice", "bob")

# The model's own copy of the state machine: who may make which status transition.
TRANSITIONS = {
    "owner": {"PENDING": ["CANCELLED"]},
    ADMIN: {
        "PENDING": ["PAID", "CANCELLED"],
        "PAID": ["SHIPPED", "CANCELLED"],
        "SHIPPED": ["DELIVERED"],
        "DELIVERED": ["RETURNED"],
    },
}
STATUSES = ["PENDING", "PAID", "SHIPPED", "DELIVERED", "CANCELLED", "RETURNED"]
STOCK_RESTORED = {"CANCELLED", "RETURNED"}


# The name of an order that was rejected. Which request wins a race differs between runs, and with
# it the stock that is left. A rejected order has a name too, so that the same sequence of rules has
# the same number of names in each run and Hypothesis can replay it.
REJECTED = "rejected"


@dataclass(frozen=True)
class Transition:
    """A request to change the status of an order."""

    who: str
    status: str


@dataclass(frozen=True)
class Order:
    """An order in the model."""

    id: str
    owner: str
    lines: tuple[tuple[str, int, int], ...]  # product, quantity, unit price
    status: str = "PENDING"
    version: int = 1

    @property
    def total(self) -> int:
        return sum(quantity * price for _, quantity, price in self.lines)

    def after(self, transition: Transition) -> tuple[Order, int]:
        """Return the order after a transition, and the status code of the response."""
        if transition.who not in {ADMIN, self.owner}:
            return self, 404
        if transition.status == self.status:
            return self, 200
        party = ADMIN if transition.who == ADMIN else "owner"
        if transition.status not in TRANSITIONS[party].get(self.status, ()):
            return self, 409
        # Cancelling an order that was paid also refunds it, which is another event.
        is_refunded = (self.status, transition.status) == ("PAID", "CANCELLED") and self.total > 0
        version = self.version + (2 if is_refunded else 1)
        return replace(self, status=transition.status, version=version), 200


@dataclass
class Product:
    """A product in the model."""

    document: dict[str, Any]
    stock: int
    archived: bool = False

    @property
    def id(self) -> str:
        return str(self.document["id"])


class PlacedRequest(NamedTuple):
    """A request that placed an order, kept so that it can be repeated."""

    who: str
    key: str
    body: dict[str, Any]
    response: bytes


@dataclass
class Shop:
    """The server and its clients, which all sequences share."""

    clients: dict[str, Client]
    database_url: str
    threads: ThreadPoolExecutor
    numbers: Iterator[int] = field(default_factory=count)

    def send_concurrently(self, *calls: Callable[[], httpx2.Response]) -> list[httpx2.Response]:
        """Send all requests at the same moment."""
        barrier = Barrier(len(calls))

        def wait(call: Callable[[], httpx2.Response]) -> httpx2.Response:
            barrier.wait()
            return call()

        return list(self.threads.map(wait, calls))

    @contextmanager
    def backdated(self, order_id: str) -> Iterator[None]:
        """Make an order 61 minutes older while the block runs."""
        with closing(psycopg2.connect(self.database_url)) as connection:
            connection.autocommit = True
            for operator in ("-", "+"):
                connection.cursor().execute(
                    f"UPDATE orders SET created_at = created_at {operator} interval '61 minutes'"
                    " WHERE id = %s",
                    (order_id,),
                )
                if operator == "-":
                    yield


class OrderMachine(RuleBasedStateMachine):
    """One sequence of requests. It has its own products; the clients are shared."""

    products = Bundle("products")
    placed = Bundle("placed")
    with_key = Bundle("with_key")

    anyone = st.sampled_from([*CLIENTS, ADMIN])

    def __init__(self, shop: Shop) -> None:
        super().__init__()
        self.shop = shop
        self.products_by_id: dict[str, Product] = {}
        self.orders: dict[str, Order] = {}
        self.requests: dict[str, PlacedRequest] = {}
        self.names = count()
        self.started_at = datetime.now(UTC)

    # -- rules

    @initialize(target=products)
    def create_first_products(self) -> Any:
        return multiple(*(self.add_product(stock, 1000) for stock in (4, 12, 40)))

    @rule(target=products, stock=st.integers(0, 6), price=st.sampled_from([0, 1, 1990]))
    def create_product(self, stock: int, price: int) -> Any:
        return self.add_product(stock, price)

    @rule(product_id=products)
    def archive_product(self, product_id: str) -> None:
        response = self.shop.clients[ADMIN].delete(f"{PRODUCTS}/{product_id}")

        assert response.status_code == (404 if self.products_by_id[product_id].archived else 204)
        self.products_by_id[product_id].archived = True

    @rule(product_id=products)
    def restore_product(self, product_id: str) -> None:
        response = self.shop.clients[ADMIN].post(f"{PRODUCTS}/{product_id}/restore")

        assert (200, self.products_by_id[product_id].stock) == (
            response.status_code,
            response.json()["stock"],
        )
        self.products_by_id[product_id].archived = False

    @rule(
        targets=(placed, with_key),
        who=anyone,
        lines=st.lists(st.tuples(products, st.integers(1, 4)), min_size=1, max_size=3),
        with_address=st.booleans(),
        note=st.sampled_from([None, "Ring twice."]),
    )
    def place(
        self, who: str, lines: list[tuple[str, int]], with_address: bool, note: str | None
    ) -> Any:
        key = f"key-{next(self.shop.numbers)}"
        response = place_order(
            self.shop.clients[who],
            *(
                (self.products_by_id[product_id].document, quantity)
                for product_id, quantity in lines
            ),
            shipping_address=LONDON if with_address else None,
            note=note,
            **{"Idempotency-Key": key},
        )
        name = self.check_placement(who, lines, response)
        if name is None:
            return REJECTED
        body = {"lines": lines, "with_address": with_address, "note": note}
        self.requests[name] = PlacedRequest(who, key, body, response.content)
        return name

    @rule(name=with_key, times=st.integers(1, 3))
    def repeat_request(self, name: str, times: int) -> None:
        if name == REJECTED:
            return
        request = self.requests[name]

        responses = self.shop.send_concurrently(*[lambda: self.repeat(request)] * times)

        for response in responses:
            assert (201, "true") == (response.status_code, response.headers["idempotent-replayed"])
            assert request.response == response.content

    @rule(name=with_key)
    def reuse_key_for_another_request(self, name: str) -> None:
        if name == REJECTED:
            return
        response = self.repeat(self.requests[name], note="Something else.")

        assert_problem(response, 422, "idempotency_key_reused")

    @rule(target=placed, product_id=products, quantity=st.integers(1, 2), buyers=st.integers(2, 6))
    def place_concurrently(self, product_id: str, quantity: int, buyers: int) -> Any:
        product = self.products_by_id[product_id]
        clients = [(*CLIENTS, ADMIN)[number % 3] for number in range(buyers)]
        sellable = 0 if product.archived else min(buyers, product.stock // quantity)

        responses = self.shop.send_concurrently(
            *(
                lambda who=who: place_order(self.shop.clients[who], (product.document, quantity))
                for who in clients
            )
        )

        assert sellable == sum(response.status_code == 201 for response in responses)
        # The model applies the successful orders first: the rejected ones came after them.
        by_status = sorted(
            zip(clients, responses, strict=True), key=lambda pair: pair[1].status_code
        )
        names = [
            self.check_placement(who, [(product_id, quantity)], response)
            for who, response in by_status
        ]
        return multiple(*(name or REJECTED for name in names))

    @rule(name=placed, steps=st.sampled_from([4, 3, 2, 1]), times=st.integers(1, 2))
    def advance(self, name: str, steps: int, times: int) -> None:
        for _ in range(steps if name != REJECTED else 0):
            allowed = TRANSITIONS[ADMIN].get(self.orders[name].status)
            if allowed:
                self.race(name, [Transition(ADMIN, allowed[0])] * times)

    @rule(name=placed, who=anyone, status=st.sampled_from(STATUSES))
    def change_status(self, name: str, who: str, status: str) -> None:
        if name == REJECTED:
            return
        if who != ADMIN:
            status = "CANCELLED"  # the only transition that customers can request
        self.race(name, [Transition(who, status)])

    @rule(
        name=placed,
        transitions=st.lists(
            st.one_of(
                st.builds(Transition, anyone, st.just("CANCELLED")),
                st.builds(Transition, st.just(ADMIN), st.sampled_from(STATUSES)),
            ),
            min_size=2,
            max_size=4,
        ),
    )
    def change_status_concurrently(self, name: str, transitions: list[Transition]) -> None:
        if name != REJECTED:
            self.race(name, transitions)

    @rule(name=placed)
    def expire(self, name: str) -> None:
        if name == REJECTED:
            return
        order = self.orders[name]
        with self.shop.backdated(order.id):
            expired = orders.expire_orders(actor=make_actor(None, None))

        assert expired == (order.status == "PENDING")
        if expired:
            self.replace_order(name, replace(order, status="CANCELLED", version=2))
        self.check_order(self.orders[name])

    # -- invariants

    @invariant()
    def stock_agrees_with_the_model(self) -> None:
        for product in self.products_by_id.values():
            if not product.archived:
                assert product.stock == get_stock(self.shop.clients[ADMIN], product.document)

    def teardown(self) -> None:
        for order in self.orders.values():
            self.check_order(order)
        for who in (*CLIENTS, ADMIN):
            for statuses in ([], ["PENDING"], ["CANCELLED", "PAID"]):
                self.check_list(who, statuses)
        assert [] == audit()

    def check_order(self, order: Order) -> None:
        path = f"{ORDERS}/{order.id}"
        for who in {order.owner, ADMIN}:
            document = self.shop.clients[who].get(path).json()
            party = ADMIN if who == ADMIN else "owner"
            assert (order.status, order.version, TRANSITIONS[party].get(order.status, [])) == (
                document["status"],
                document["version"],
                document["allowed_transitions"],
            )
            assert (
                sum(price * quantity for _, quantity, price in order.lines)
                == (document["total"]["amount"])
            )
            assert list(order.lines) == [
                (line["product_id"], line["quantity"], line["unit_price"]["amount"])
                for line in document["items"]
            ]
            assert ("customer" in document) == (who == ADMIN)
        events = self.shop.clients[order.owner].get(f"{path}/events").json()["items"]
        assert (order.version, order.status) == (len(events), events[-1]["to_status"])
        for other in {*CLIENTS} - {order.owner}:
            assert_problem(self.shop.clients[other].get(path), 404, "not_found")

    def check_list(self, who: str, statuses: list[str]) -> None:
        since = self.started_at.isoformat().replace("+00:00", "Z")
        query: dict[str, Any] = {"status": statuses, "created_from": since, "limit": 3}
        response = self.shop.clients[who].get(ORDERS, params=query)
        found = [order["id"] for order in response.json()["items"]]
        while "next" in response.links:
            response = self.shop.clients[who].get(response.links["next"]["url"])
            found += [order["id"] for order in response.json()["items"]]
        assert len(found) == len(set(found))
        assert set(found) == {
            order.id
            for order in self.orders.values()
            if who in {ADMIN, order.owner} and (not statuses or order.status in statuses)
        }

    # -- the model and its comparison with the server

    def add_product(self, stock: int, price: int) -> str:
        sku = f"SKU-{next(self.shop.numbers)}"
        product = Product(add_product(self.shop.clients[ADMIN], sku, price, stock), stock)
        self.products_by_id[product.id] = product
        return product.id

    def check_placement(
        self, who: str, lines: Sequence[tuple[str, int]], response: httpx2.Response
    ) -> str | None:
        """Compare a response with the model; return a name for the order if it was placed."""
        summed: dict[str, int] = {}
        for product_id, quantity in lines:
            summed[product_id] = summed.get(product_id, 0) + quantity
        archived = {id_ for id_ in summed if self.products_by_id[id_].archived}
        short = {
            id_: quantity
            for id_, quantity in summed.items()
            if self.products_by_id[id_].stock < quantity
        }
        if archived:
            problem_lines = assert_problem(response, 409, "products_unavailable")["lines"]
            assert {(id_, summed[id_], None) for id_ in archived} | {
                (id_, quantity, self.products_by_id[id_].stock)
                for id_, quantity in short.items()
                if id_ not in archived
            } == {
                (line["product_id"], line["requested"], line.get("available"))
                for line in problem_lines
            }
            return None
        if short:
            problem_lines = assert_problem(response, 409, "insufficient_stock")["lines"]
            assert {
                (id_, quantity, self.products_by_id[id_].stock) for id_, quantity in short.items()
            } == {
                (line["product_id"], line["requested"], line["available"]) for line in problem_lines
            }
            return None
        assert 201 == response.status_code, response.text
        for product_id, quantity in summed.items():
            self.products_by_id[product_id].stock -= quantity
        prices = {id_: self.products_by_id[id_].document["price"]["amount"] for id_ in summed}
        order = Order(
            response.json()["id"],
            who,
            tuple((id_, quantity, prices[id_]) for id_, quantity in summed.items()),
        )
        assert order.id not in {known.id for known in self.orders.values()}
        name = f"order-{next(self.names)}"
        self.orders[name] = order
        return name

    def repeat(self, request: PlacedRequest, **changes: str) -> httpx2.Response:
        """Send a request again with the same idempotency key."""
        body = {**request.body, **changes}
        response: httpx2.Response = place_order(
            self.shop.clients[request.who],
            *((self.products_by_id[id_].document, quantity) for id_, quantity in body["lines"]),
            shipping_address=LONDON if body["with_address"] else None,
            note=body["note"],
            **{"Idempotency-Key": request.key},
        )
        return response

    def race(self, name: str, transitions: Sequence[Transition]) -> None:
        """Send several transitions concurrently; some sequence of them must explain the result."""
        order = self.orders[name]
        responses = self.shop.send_concurrently(
            *(
                lambda transition=transition: self.request_transition(order, transition)
                for transition in transitions
            )
        )

        current = self.shop.clients[ADMIN].get(f"{ORDERS}/{order.id}").json()
        status_codes = tuple(response.status_code for response in responses)
        result = (current["status"], current["version"], status_codes)
        possible = dict(possible_results(order, transitions))
        assert result in possible
        self.replace_order(name, possible[result])

    def request_transition(self, order: Order, transition: Transition) -> httpx2.Response:
        document = {"id": order.id}
        response: httpx2.Response
        if transition.status == "CANCELLED":
            response = cancel_order(self.shop.clients[transition.who], document)
        else:
            response = update_status(self.shop.clients[transition.who], document, transition.status)
        if response.status_code == 409:
            assert_problem(response, 409, "transition_not_allowed")
        return response

    def replace_order(self, name: str, order: Order) -> None:
        before = self.orders[name]
        if order.status in STOCK_RESTORED and before.status not in STOCK_RESTORED:
            for product_id, quantity, _ in order.lines:
                self.products_by_id[product_id].stock += quantity
        self.orders[name] = order


def possible_results(
    order: Order, transitions: Sequence[Transition]
) -> Iterator[tuple[tuple[str, int, tuple[int, ...]], Order]]:
    """Yield the result of each sequence in which concurrent transitions can be applied."""
    for sequence in permutations(range(len(transitions))):
        current, responses = order, {}
        for number in sequence:
            current, responses[number] = current.after(transitions[number])
        status_codes = tuple(responses[number] for number in range(len(transitions)))
        yield (current.status, current.version, status_codes), current


@pytest.fixture
def open_shop(admin: Client, alice: Client, bob: Client, shop: str) -> Iterator[Shop]:
    with ThreadPoolExecutor(8) as threads:
        yield Shop({ADMIN: admin, "alice": alice, "bob": bob}, shop, threads)


def test_the_server_agrees_with_the_model_for_any_sequence_of_requests(open_shop: Shop) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: OrderMachine(open_shop),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
