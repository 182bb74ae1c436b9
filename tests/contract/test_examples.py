"""The contract's examples, sent to a running server: all of them, and all that may come of them.

What can be refused is refused here once on purpose, and each link is followed, so that none of it
depends on what generated requests happen to meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from services import users
from tests.contract.coverage import FAULTS, Coverage, Link, documented, links
from tests.contract.visitor import EXAMPLES, OPERATIONS, PLENTY, Request, Step, Visitor, Watch
from tests.support.accounts import ADMIN
from tests.support.contract import DOCUMENT, Node, operations

MEBIBYTE = 1 << 20
# Refusals that take two requests at one moment.
NOT_ON_PURPOSE = {"import_products sku_taken", "create_order idempotency_in_flight"}


@pytest.fixture
def visitor(
    entrances: tuple[str, str], coverage: Coverage, shop: str, watch: Watch
) -> Iterator[Visitor]:
    """Return somebody who visits a shop that has an administrator, and nobody and nothing else."""
    email, password = ADMIN
    users.create_admin(email=email, name="Grace", password=password)
    visitor = Visitor(*entrances, ADMIN, coverage=coverage, arrangements=ARRANGED, watch=watch)
    yield visitor
    visitor.close()


def bodies() -> Iterator[tuple[str, str, str]]:
    for name, operation in operations():
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            for example in content["examples"]:
                yield name, media_type, example


def answers() -> Iterator[tuple[str, str]]:
    """Every example of a success in JSON, by its operation."""
    for name, operation in operations():
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get("application/json", {})
            for example in content.get("examples", {}):
                if status < "300":
                    yield name, example


def parameters() -> Iterator[tuple[str, Node, str]]:
    for name, operation in operations():
        for parameter in operation["parameters"]:
            for example in parameter["examples"]:
                yield name, parameter, example


def refusals() -> Iterator[tuple[str, str, str]]:
    """Every refusal of each operation, by the codes that its examples show."""
    for name, status in documented():
        response = OPERATIONS[name]["responses"][status]
        for content in response.get("content", {}).values():
            for example in content["examples"].values():
                if status >= "400" and f"{name} {example['value']['code']}" not in NOT_ON_PURPOSE:
                    yield name, status, example["value"]["code"]


def cases(found: Iterable[tuple[Any, ...]]) -> list[Any]:
    return [pytest.param(*case, id=" ".join(_label(part) for part in case)) for case in found]


def _label(part: Any) -> str:
    if isinstance(part, Link):
        return str(part)
    return str(part.get("name", "")) if isinstance(part, dict) else part


@pytest.mark.parametrize(("name", "media_type", "example"), cases(bodies()))
def test_a_request_is_answered_as_it_is_shown(
    visitor: Visitor, name: str, media_type: str, example: str
) -> None:
    answer = visitor.send(visitor.ask(name, media_type=media_type, example=example))

    assert answer.status_code < 300, answer.text


@pytest.mark.parametrize(("name", "example"), cases(answers()))
def test_an_example_of_an_answer_shows_all_that_is_answered(
    visitor: Visitor, name: str, example: str
) -> None:
    answer = visitor.succeed(visitor.ask(name))

    content = OPERATIONS[name]["responses"][str(answer.status_code)]["content"]
    shown = content["application/json"]["examples"][example]["value"]
    assert set() == _members(answer.json(), beside=shown)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_request_without_more_than_it_needs_succeeds(visitor: Visitor, name: str) -> None:
    request = visitor.ask(name, bare=not OPERATIONS[name].get("requestBody", {}).get("required"))

    assert visitor.send(request).status_code < 300


@pytest.mark.parametrize(("name", "parameter", "example"), cases(parameters()))
def test_a_parameter_is_taken_as_it_is_shown(
    visitor: Visitor, name: str, parameter: Node, example: str
) -> None:
    request = visitor.ask(name)
    places = {"path": request.path, "query": request.query, "header": request.headers}
    places[parameter["in"]][parameter["name"]] = _spelled(parameter["examples"][example]["value"])

    answer = visitor.send(request)

    # Nothing in this shop has the ids and tags of the examples.
    expected = {"path": {404}, "header": {200, 201, 204, 412}}.get(parameter["in"], {200})
    assert answer.status_code in expected, answer.text


@pytest.mark.parametrize(("name", "status", "code"), cases(refusals()))
def test_a_request_is_refused_as_it_is_shown(
    pytestconfig: pytest.Config, visitor: Visitor, name: str, status: str, code: str
) -> None:
    if code == "payload_too_large" and pytestconfig.getoption("--through-proxy"):
        pytest.skip("Prism waits for ever where a server answers before it has read all")
    request = visitor.ask(name)
    (PROVOKED.get(f"{name} {code}") or PROVOKED[code])(visitor, request)

    answer = visitor.send(request)

    assert (status, code) == (str(answer.status_code), answer.json()["code"]), answer.text


@pytest.mark.parametrize("name", [name for name, status in documented() if status == "304"])
def test_what_has_not_changed_is_not_sent_again(visitor: Visitor, name: str) -> None:
    request = visitor.ask(name)
    request.headers["If-None-Match"] = visitor.succeed(request).headers["ETag"]

    assert 304 == visitor.send(request).status_code


@pytest.mark.parametrize(("link", "definition"), cases(links()))
def test_a_link_leads_on(visitor: Visitor, link: Link, definition: Node) -> None:
    request = visitor.ask(link.operation_id)
    if "next_cursor" in str(definition):
        visitor.ask(link.operation_id)  # so that there is more than one of everything
        request.query["limit"] = 1

    onward = visitor.follow(link, definition, request)

    assert visitor.send(onward).status_code < 400


def test_everything_that_is_documented_can_be_shown() -> None:
    """A new operation needs nothing here, a new code needs to be brought about."""
    codes = {code for _, status, code in refusals() if status not in FAULTS}

    assert codes <= {key.split()[-1] for key in PROVOKED}


def _members(value: Any, *, beside: Any, place: str = "") -> set[str]:
    """Return the members of a value that one beside it does not have, however deep."""
    if isinstance(value, dict) and isinstance(beside, dict):
        lacking = {f"{place}/{name}" for name in value.keys() - beside.keys()}
        deeper = (
            _members(value[name], beside=beside[name], place=f"{place}/{name}")
            for name in value.keys() & beside.keys()
        )
        return lacking.union(*deeper)
    if isinstance(value, list) and isinstance(beside, list):
        # One of them shows what all of them are like; none shows nothing.
        return set().union(
            *(_members(one, beside=beside[0], place=place) for one in value if beside)
        )
    return set()


def _spelled(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


# What is to be so before a request succeeds, by its operation and example.
ARRANGED: dict[str, Step] = {}
# How a refusal comes about, by its code, or by an operation and its code.
PROVOKED: dict[str, Step] = {}


def arranged(*keys: str) -> Any:
    def keep(step: Step) -> Step:
        ARRANGED.update(dict.fromkeys(keys, step))
        return step

    return keep


def provoked(*keys: str) -> Any:
    def keep(step: Step) -> Step:
        PROVOKED.update(dict.fromkeys(keys, step))
        return step

    return keep


@arranged("create_order")
def give_a_key(_visitor: Visitor, request: Request) -> None:
    request.headers["Idempotency-Key"] = str(uuid4())


@arranged("update_order_status", "update_order_status shipment")
def have_it_paid(visitor: Visitor, request: Request) -> None:
    visitor.move(request.path["order_id"], "PAID")


@arranged("update_order_status returned")
def have_it_delivered(visitor: Visitor, request: Request) -> None:
    visitor.move(request.path["order_id"], "SHIPPED", "DELIVERED")


@arranged("list_users", "list_orders", "list_order_events", "list_products", "list_sessions")
def have_something_to_list(visitor: Visitor, request: Request) -> None:
    ada = request.person if request.operation_id == "list_orders" else None
    order = visitor.order(ada or visitor.ada())
    visitor.move(request.path.get("order_id", order["id"]), "PAID")


@arranged("adjust_stock stocktake")
def have_as_many_as_expected(visitor: Visitor, request: Request) -> None:
    request.path["product_id"] = visitor.product(stock=request.body["expected"])["id"]


@arranged("list_stock_movements")
def have_some_come(visitor: Visitor, request: Request) -> None:
    adjustment = visitor.plain("adjust_stock", {"delta": 1, "reason": "FOUND"})
    visitor.succeed(replace(adjustment, person=request.person, path=request.path))


@arranged("list_archived_products")
def have_something_archived(visitor: Visitor, _request: Request) -> None:
    visitor.succeed(visitor.ask("archive_product"))


@provoked("malformed_request")
def send_what_is_not_described(_visitor: Visitor, request: Request) -> None:
    request.query["not_described"] = "1"


@provoked("unauthenticated")
def be_nobody(_visitor: Visitor, request: Request) -> None:
    request.person = None


@provoked("invalid_token")
def forge_a_token(_visitor: Visitor, request: Request) -> None:
    request.headers["Authorization"] = f"Bearer {EXAMPLES['tokens']['access_token']}"


@provoked("invalid_credentials")
def mistype_the_password(visitor: Visitor, request: Request) -> None:
    request.body = {**EXAMPLES["credentials"], "password": "brew-42-fast-mornings"}


@provoked("session_expired")
def show_an_old_refresh_token(_visitor: Visitor, request: Request) -> None:
    request.headers["Cookie"] = f"orderly_refresh={EXAMPLES['refresh_token']['refresh_token']}"


@provoked("issue_token session_expired")
def send_an_old_refresh_token(_visitor: Visitor, request: Request) -> None:
    request.body = EXAMPLES["refresh_token"]


@provoked("forbidden")
def be_a_customer(visitor: Visitor, request: Request) -> None:
    request.person = visitor.ada()


@provoked("cross_site_request")
def come_from_another_site(_visitor: Visitor, request: Request) -> None:
    if request.operation_id != "refresh_session":
        request.by_cookie()
    request.headers["Sec-Fetch-Site"] = "cross-site"


@provoked("not_found")
def ask_for_what_there_is_not(_visitor: Visitor, request: Request) -> None:
    request.path = {name: str(uuid4()) for name in request.path}


@provoked("email_taken", "sku_taken")
def do_it_twice(visitor: Visitor, request: Request) -> None:
    visitor.succeed(request)


@provoked("update_product sku_taken")
def take_anothers_sku(visitor: Visitor, request: Request) -> None:
    request.body = {"sku": visitor.product()["sku"]}


@provoked("password_rejected")
def choose_what_everybody_chooses(_visitor: Visitor, request: Request) -> None:
    for name in {"password", "new_password"} & request.body.keys():
        request.body[name] = "password1234"


@provoked("current_password_wrong")
def mistype_the_current_password(_visitor: Visitor, request: Request) -> None:
    request.body["current_password"] = "brew-42-fast-mornings"


@provoked("refresh_raced")
def have_refreshed_already(visitor: Visitor, request: Request) -> None:
    visitor.succeed(request)


@provoked("issue_token refresh_raced")
def have_gone_on_already(visitor: Visitor, request: Request) -> None:
    request.body = {"refresh_token": visitor.ada().refresh_token}
    visitor.succeed(request)


@provoked("insufficient_stock")
def ask_for_more_than_there_is(_visitor: Visitor, request: Request) -> None:
    request.body["items"][0]["quantity"] = 10_000


@provoked("products_unavailable")
def ask_for_what_is_not_sold(_visitor: Visitor, request: Request) -> None:
    request.body["items"][0]["product_id"] = str(uuid4())


@provoked("transition_not_allowed")
def leave_out_a_step(_visitor: Visitor, request: Request) -> None:
    request.body = {"status": "DELIVERED"}


@provoked("cancel_order transition_not_allowed")
def cancel_what_has_left(visitor: Visitor, request: Request) -> None:
    visitor.move(request.path["order_id"], "PAID", "SHIPPED")


@provoked("last_administrator")
def demote_the_only_one(_visitor: Visitor, request: Request) -> None:
    assert request.person
    request.path["user_id"] = request.person.user_id
    request.body = {"role": "CLIENT"}


@provoked("precondition_failed")
def have_seen_another_state(_visitor: Visitor, request: Request) -> None:
    request.headers["If-Match"] = '"0"'


@provoked("payload_too_large")
def send_too_much(_visitor: Visitor, request: Request) -> None:
    request.content = b" " * (MEBIBYTE + 1)


@provoked("unsupported_media_type")
def send_another_media_type(_visitor: Visitor, request: Request) -> None:
    request.media_type = "text/plain"


@provoked("idempotency_key_reused")
def use_the_key_again(visitor: Visitor, request: Request) -> None:
    visitor.succeed(request)
    request.body["items"][0]["quantity"] += 1


@provoked("too_many_attempts")
def try_again_and_again(visitor: Visitor, request: Request) -> None:
    if request.operation_id in {"login", "issue_token", "change_password"}:
        wrong = "current_password" if "current_password" in request.body else "password"
        request.body[wrong] = "brew-42-fast-mornings"  # those that succeed do not count
    request.is_throttled = True
    for _ in range(2):
        visitor.send(request)
        if request.operation_id == "refresh_session":
            request.person = visitor.ada()  # a token is good once


@provoked("stock_below_zero")
def take_more_than_there_is(_visitor: Visitor, request: Request) -> None:
    request.body = {"delta": -PLENTY - 1, "reason": "LOST"}


@provoked("stock_too_large")
def bring_more_than_can_be_counted(visitor: Visitor, request: Request) -> None:
    most = DOCUMENT["components"]["schemas"]["NewProduct"]["properties"]["stock"]["maximum"]
    request.path["product_id"] = visitor.product(stock=most)["id"]
    request.body = {"delta": 1, "reason": "FOUND"}


@provoked("stock_not_as_expected")
def have_counted_before(_visitor: Visitor, request: Request) -> None:
    request.body = {"set_to": 1, "expected": PLENTY + 1, "reason": "COUNTED"}


@provoked("import_refused")
def send_what_is_no_file(_visitor: Visitor, request: Request) -> None:
    request.content = b'"'


@provoked("import_products payload_too_large")
def send_too_large_a_file(_visitor: Visitor, request: Request) -> None:
    request.content = b" " * (EXAMPLES["file_too_large"]["max_bytes"] + 1)
