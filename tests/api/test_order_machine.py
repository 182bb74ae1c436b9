"""Several people use the shop in every order that Hypothesis thinks of, some of them at once.

A small model says what must come of it; the server and its audit have to agree. In the deep
profile, PYTEST_ORDER_MACHINE_EXAMPLES says how many stories are tried (`tox -e deep`).
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

# The lifecycle once more, in the model's own words: who may take an order from where to where.
STEPS_OF = {
    "owner": {"PENDING": ["CANCELLED"]},
    ADMIN: {
        "PENDING": ["PAID", "CANCELLED"],
        "PAID": ["SHIPPED", "CANCELLED"],
        "SHIPPED": ["DELIVERED"],
        "DELIVERED": ["RETURNED"],
    },
}
STATUSES = ["PENDING", "PAID", "SHIPPED", "DELIVERED", "CANCELLED", "RETURNED"]
GONE = {"CANCELLED", "RETURNED"}


# An order that was not placed. It has a name as the others have: which step wins a race, and so how
# much there is to sell, is not for the story to say, but what it tells next must not hang on that.
REFUSED = "refused"


@dataclass(frozen=True)
class Step:
    """What somebody wants to become of an order."""

    who: str
    status: str


@dataclass(frozen=True)
class Order:
    """What the model knows of an order."""

    id: str
    owner: str
    lines: tuple[tuple[str, int, int], ...]  # product, quantity, unit price
    status: str = "PENDING"
    version: int = 1

    def after(self, step: Step) -> tuple[Order, int]:
        """Return the order after a step, and the HTTP status of its answer."""
        if step.who not in {ADMIN, self.owner}:
            return self, 404
        if step.status == self.status:
            return self, 200
        party = ADMIN if step.who == ADMIN else "owner"
        if step.status not in STEPS_OF[party].get(self.status, ()):
            return self, 409
        return replace(self, status=step.status, version=self.version + 1), 200


@dataclass
class Product:
    """What the model knows of a product."""

    document: dict[str, Any]
    stock: int
    archived: bool = False

    @property
    def id(self) -> str:
        return str(self.document["id"])


class Asked(NamedTuple):
    """A request that has placed an order, to be repeated."""

    who: str
    key: str
    body: dict[str, Any]
    answer: bytes


@dataclass
class Shop:
    """The server, and the people who use it in all stories."""

    people: dict[str, Client]
    database_url: str
    threads: ThreadPoolExecutor
    numbers: Iterator[int] = field(default_factory=count)

    def at_once(self, *calls: Callable[[], httpx2.Response]) -> list[httpx2.Response]:
        """Make requests at the same instant."""
        instant = Barrier(len(calls))

        def wait(call: Callable[[], httpx2.Response]) -> httpx2.Response:
            instant.wait()
            return call()

        return list(self.threads.map(wait, calls))

    @contextmanager
    def an_hour_later(self, order_id: str) -> Iterator[None]:
        """Have an order be more than an hour old while the block runs."""
        with closing(psycopg2.connect(self.database_url)) as connection:
            connection.autocommit = True
            for way in ("-", "+"):
                connection.cursor().execute(
                    f"UPDATE orders SET created_at = created_at {way} interval '61 minutes'"
                    " WHERE id = %s",
                    (order_id,),
                )
                if way == "-":
                    yield


class OrderMachine(RuleBasedStateMachine):
    """One story: its products are its own, its people are those of all stories."""

    products = Bundle("products")
    placed = Bundle("placed")
    asked = Bundle("asked")

    who = st.sampled_from(CLIENTS)
    anyone = st.sampled_from([*CLIENTS, ADMIN])

    def __init__(self, shop: Shop) -> None:
        super().__init__()
        self.shop = shop
        self.stocked: dict[str, Product] = {}
        self.orders: dict[str, Order] = {}
        self.asked_for: dict[str, Asked] = {}
        self.names = count()
        self.begun = datetime.now(UTC)

    # -- what happens

    @initialize(target=products)
    def opens_with_something_to_sell(self) -> Any:
        return multiple(*(self.adds_a_product(stock, 1000) for stock in (4, 12, 40)))

    @rule(target=products, stock=st.integers(0, 6), price=st.sampled_from([0, 1, 1990]))
    def gets_a_product(self, stock: int, price: int) -> Any:
        return self.adds_a_product(stock, price)

    @rule(product_id=products)
    def stops_selling(self, product_id: str) -> None:
        answer = self.shop.people[ADMIN].delete(f"{PRODUCTS}/{product_id}")

        assert answer.status_code == (404 if self.stocked[product_id].archived else 204)
        self.stocked[product_id].archived = True

    @rule(product_id=products)
    def sells_again(self, product_id: str) -> None:
        answer = self.shop.people[ADMIN].post(f"{PRODUCTS}/{product_id}/restore")

        assert (200, self.stocked[product_id].stock) == (
            answer.status_code,
            answer.json()["stock"],
        )
        self.stocked[product_id].archived = False

    @rule(
        targets=(placed, asked),
        who=anyone,
        wanted=st.lists(st.tuples(products, st.integers(1, 4)), min_size=1, max_size=3),
        sent=st.booleans(),
        note=st.sampled_from([None, "Ring twice."]),
    )
    def is_asked_for(
        self, who: str, wanted: list[tuple[str, int]], sent: bool, note: str | None
    ) -> Any:
        key = f"key-{next(self.shop.numbers)}"
        answer = place_order(
            self.shop.people[who],
            *((self.stocked[product_id].document, quantity) for product_id, quantity in wanted),
            shipping_address=LONDON if sent else None,
            note=note,
            **{"Idempotency-Key": key},
        )
        name = self.settle(who, wanted, answer)
        if name is None:
            return REFUSED
        body = {"wanted": wanted, "sent": sent, "note": note}
        self.asked_for[name] = Asked(who, key, body, answer.content)
        return name

    @rule(name=asked, times=st.integers(1, 3))
    def is_asked_for_again(self, name: str, times: int) -> None:
        if name == REFUSED:
            return
        request = self.asked_for[name]

        answers = self.shop.at_once(*[lambda: self.repeat(request)] * times)

        for answer in answers:
            assert (201, "true") == (answer.status_code, answer.headers["idempotent-replayed"])
            assert request.answer == answer.content

    @rule(name=asked)
    def is_asked_for_something_else_by_the_same_key(self, name: str) -> None:
        if name == REFUSED:
            return
        answer = self.repeat(self.asked_for[name], note="Something else.")

        assert_problem(answer, 422, "idempotency_key_reused")

    @rule(target=placed, product_id=products, quantity=st.integers(1, 2), buyers=st.integers(2, 6))
    def is_crowded(self, product_id: str, quantity: int, buyers: int) -> Any:
        product = self.stocked[product_id]
        people = [(*CLIENTS, ADMIN)[number % 3] for number in range(buyers)]
        sellable = 0 if product.archived else min(buyers, product.stock // quantity)

        answers = self.shop.at_once(
            *(
                lambda who=who: place_order(self.shop.people[who], (product.document, quantity))
                for who in people
            )
        )

        assert sellable == sum(answer.status_code == 201 for answer in answers)
        # Who was refused came after all who were not.
        told = sorted(zip(people, answers, strict=True), key=lambda one: one[1].status_code)
        names = [self.settle(who, [(product_id, quantity)], answer) for who, answer in told]
        return multiple(*(name or REFUSED for name in names))

    @rule(name=placed, steps=st.sampled_from([4, 3, 2, 1]), times=st.integers(1, 2))
    def goes_its_way(self, name: str, steps: int, times: int) -> None:
        for _ in range(steps if name != REFUSED else 0):
            following = STEPS_OF[ADMIN].get(self.orders[name].status)
            if following:
                self.race(name, [Step(ADMIN, following[0])] * times)

    @rule(name=placed, who=anyone, status=st.sampled_from(STATUSES))
    def is_moved_on(self, name: str, who: str, status: str) -> None:
        if name == REFUSED:
            return
        if who != ADMIN:
            status = "CANCELLED"  # all that others may ask for
        self.race(name, [Step(who, status)])

    @rule(
        name=placed,
        steps=st.lists(
            st.one_of(
                st.builds(Step, anyone, st.just("CANCELLED")),
                st.builds(Step, st.just(ADMIN), st.sampled_from(STATUSES)),
            ),
            min_size=2,
            max_size=4,
        ),
    )
    def is_pulled_in_all_directions(self, name: str, steps: list[Step]) -> None:
        if name != REFUSED:
            self.race(name, steps)

    @rule(name=placed)
    def is_not_paid_for(self, name: str) -> None:
        if name == REFUSED:
            return
        order = self.orders[name]
        with self.shop.an_hour_later(order.id):
            expired = orders.expire_orders(actor=make_actor(None, None))

        assert expired == (order.status == "PENDING")
        if expired:
            self.becomes(name, replace(order, status="CANCELLED", version=2))
        self.looks_right(self.orders[name])

    # -- what must hold

    @invariant()
    def stock_is_what_was_not_sold(self) -> None:
        for product in self.stocked.values():
            if not product.archived:
                assert product.stock == get_stock(self.shop.people[ADMIN], product.document)

    def teardown(self) -> None:
        for order in self.orders.values():
            self.looks_right(order)
        for who in (*CLIENTS, ADMIN):
            for statuses in ([], ["PENDING"], ["CANCELLED", "PAID"]):
                self.list_is_right(who, statuses)
        assert [] == audit()

    def looks_right(self, order: Order) -> None:
        path = f"{ORDERS}/{order.id}"
        for who in {order.owner, ADMIN}:
            seen = self.shop.people[who].get(path).json()
            party = ADMIN if who == ADMIN else "owner"
            assert (order.status, order.version, STEPS_OF[party].get(order.status, [])) == (
                seen["status"],
                seen["version"],
                seen["allowed_transitions"],
            )
            assert (
                sum(price * quantity for _, quantity, price in order.lines)
                == (seen["total"]["amount"])
            )
            assert list(order.lines) == [
                (line["product_id"], line["quantity"], line["unit_price"]["amount"])
                for line in seen["items"]
            ]
            assert ("customer" in seen) == (who == ADMIN)
        events = self.shop.people[order.owner].get(f"{path}/events").json()["items"]
        assert (order.version, order.status) == (len(events), events[-1]["to_status"])
        for stranger in {*CLIENTS} - {order.owner}:
            assert_problem(self.shop.people[stranger].get(path), 404, "not_found")

    def list_is_right(self, who: str, statuses: list[str]) -> None:
        since = self.begun.isoformat().replace("+00:00", "Z")
        query: dict[str, Any] = {"status": statuses, "created_from": since, "limit": 3}
        answer = self.shop.people[who].get(ORDERS, params=query)
        found = [one["id"] for one in answer.json()["items"]]
        while "next" in answer.links:
            answer = self.shop.people[who].get(answer.links["next"]["url"])
            found += [one["id"] for one in answer.json()["items"]]
        assert len(found) == len(set(found))
        assert set(found) == {
            order.id
            for order in self.orders.values()
            if who in {ADMIN, order.owner} and (not statuses or order.status in statuses)
        }

    # -- the model

    def adds_a_product(self, stock: int, price: int) -> str:
        sku = f"SKU-{next(self.shop.numbers)}"
        product = Product(add_product(self.shop.people[ADMIN], sku, price, stock), stock)
        self.stocked[product.id] = product
        return product.id

    def settle(
        self, who: str, wanted: Sequence[tuple[str, int]], answer: httpx2.Response
    ) -> str | None:
        """Hold the answer to an order against the model; return a name for one that was placed."""
        summed: dict[str, int] = {}
        for product_id, quantity in wanted:
            summed[product_id] = summed.get(product_id, 0) + quantity
        archived = {one for one in summed if self.stocked[one].archived}
        short = {one: n for one, n in summed.items() if self.stocked[one].stock < n}
        if archived:
            lines = assert_problem(answer, 409, "products_unavailable")["lines"]
            assert {(one, summed[one], None) for one in archived} | {
                (one, n, self.stocked[one].stock) for one, n in short.items() if one not in archived
            } == {(line["product_id"], line["requested"], line.get("available")) for line in lines}
            return None
        if short:
            lines = assert_problem(answer, 409, "insufficient_stock")["lines"]
            assert {(one, n, self.stocked[one].stock) for one, n in short.items()} == {
                (line["product_id"], line["requested"], line["available"]) for line in lines
            }
            return None
        assert 201 == answer.status_code, answer.text
        for product_id, quantity in summed.items():
            self.stocked[product_id].stock -= quantity
        prices = {one: self.stocked[one].document["price"]["amount"] for one in summed}
        order = Order(
            answer.json()["id"], who, tuple((one, n, prices[one]) for one, n in summed.items())
        )
        assert order.id not in {one.id for one in self.orders.values()}
        name = f"order-{next(self.names)}"
        self.orders[name] = order
        return name

    def repeat(self, request: Asked, **other: str) -> httpx2.Response:
        body = {**request.body, **other}
        answer: httpx2.Response = place_order(
            self.shop.people[request.who],
            *((self.stocked[one].document, quantity) for one, quantity in body["wanted"]),
            shipping_address=LONDON if body["sent"] else None,
            note=body["note"],
            **{"Idempotency-Key": request.key},
        )
        return answer

    def race(self, name: str, steps: Sequence[Step]) -> None:
        """Take several steps at once: what came of it must be what some order of them gives."""
        order = self.orders[name]
        answers = self.shop.at_once(*(lambda step=step: self.ask(order, step) for step in steps))

        now = self.shop.people[ADMIN].get(f"{ORDERS}/{order.id}").json()
        came = (now["status"], now["version"], tuple(one.status_code for one in answers))
        possible = dict(told(order, steps))
        assert came in possible
        self.becomes(name, possible[came])

    def ask(self, order: Order, step: Step) -> httpx2.Response:
        document = {"id": order.id}
        answer: httpx2.Response
        if step.status == "CANCELLED":
            answer = cancel_order(self.shop.people[step.who], document)
        else:
            answer = update_status(self.shop.people[step.who], document, step.status)
        if answer.status_code == 409:
            assert_problem(answer, 409, "transition_not_allowed")
        return answer

    def becomes(self, name: str, order: Order) -> None:
        before = self.orders[name]
        if order.status in GONE and before.status not in GONE:
            for product_id, quantity, _ in order.lines:
                self.stocked[product_id].stock += quantity
        self.orders[name] = order


def told(
    order: Order, steps: Sequence[Step]
) -> Iterator[tuple[tuple[str, int, tuple[int, ...]], Order]]:
    """Return what may come of steps that are taken at once: one result for each order of them."""
    for sequence in permutations(range(len(steps))):
        now, answers = order, {}
        for number in sequence:
            now, answers[number] = now.after(steps[number])
        yield (now.status, now.version, tuple(answers[n] for n in range(len(steps)))), now


@pytest.fixture
def open_shop(admin: Client, alice: Client, bob: Client, shop: str) -> Iterator[Shop]:
    with ThreadPoolExecutor(8) as threads:
        yield Shop({ADMIN: admin, "alice": alice, "bob": bob}, shop, threads)


def test_whatever_people_do_the_shop_does_as_the_model_says(open_shop: Shop) -> None:
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
