"""Checks that send every example of the contract to a running server.

Every documented error is triggered on purpose and every link is followed, so the coverage does not
depend on generated requests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

from orderly.verification import objects, races
from orderly.verification.checks import Check, Found
from orderly.verification.client import ExampleClient
from orderly.verification.contract import Contract, ErrorCode, Link, Node, OperationStatus
from orderly.verification.requests import NotReachable, Request, Violation
from orderly.verification.triggers import TRIGGERS

_TOO_MANY_REQUESTS = "429"
# The name of the group of checks that reach the rate limits.
RATE_LIMITS: Final = "rate limits refuse further requests"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
# The second server requires verified addresses.
_OF_THE_STRICT_SERVER = {OperationStatus("register", "202")}


def checks(contract: Contract) -> Iterator[Check]:
    """Yield all checks of a contract, in the sequence in which they run."""
    for group, find in _GROUPS.items():
        for operation_id, name, run in find(contract):
            yield Check(group, name, operation_id, run)


def _request_examples(contract: Contract) -> Found:
    for operation_id, operation in contract.operations.items():
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            for example in content["examples"]:
                run = partial(
                    _succeeds, operation_id=operation_id, media_type=media_type, example=example
                )
                yield operation_id, f"{operation_id} {media_type} {example}", run


def _succeeds(client: ExampleClient, **request: Any) -> None:
    client.send_successfully(client.prepare(**request))


def _response_examples(contract: Contract) -> Found:
    for status, response in contract.responses():
        content = response.get("content", {}).get("application/json", {})
        for example, holder in content.get("examples", {}).items():
            if status.is_success:
                run = partial(_has_every_property, status=status, example=holder["value"])
                yield status.operation_id, f"{status} {example}", run


def _has_every_property(client: ExampleClient, *, status: OperationStatus, example: Any) -> None:
    request = client.prepare(status.operation_id)
    if status in _OF_THE_STRICT_SERVER:
        client.require_verified_emails()
        request.to_strict_server = True
    response = client.send_successfully(request)
    if str(response.status_code) != status.status:
        raise Violation(f"{status}: the status is {response.status_code}")
    if missing := _missing_properties(example, response.json()):
        raise Violation(f"{status}: the example lacks {', '.join(sorted(missing))}")


def _minimal_requests(contract: Contract) -> Found:
    for operation_id, operation in sorted(contract.operations.items()):
        without_body = not operation.get("requestBody", {}).get("required")
        run = partial(_succeeds, operation_id=operation_id, without_body=without_body)
        yield operation_id, operation_id, run


def _cookies(contract: Contract) -> Found:
    for operation_id, operation in contract.operations.items():
        if {"200", "204"} <= set(operation["responses"]):
            yield operation_id, operation_id, partial(_sets_cookies, operation_id=operation_id)


def _sets_cookies(client: ExampleClient, *, operation_id: str) -> None:
    request = client.prepare(operation_id)
    request.use_cookie()
    response = client.send(request)
    if (response.status_code, "Set-Cookie" in response.headers) != (HTTPStatus.NO_CONTENT, True):
        raise Violation(f"{operation_id} with a cookie: {response.status_code} {response.text}")


def _parameter_examples(contract: Contract) -> Found:
    for operation_id, operation in contract.operations.items():
        for parameter in operation["parameters"]:
            for name, example in parameter["examples"].items():
                run = partial(
                    _is_accepted,
                    operation_id=operation_id,
                    parameter=parameter,
                    value=example["value"],
                )
                yield operation_id, f"{operation_id} {parameter['name']} {name}", run


def _is_accepted(client: ExampleClient, *, operation_id: str, parameter: Node, value: Any) -> None:
    request = client.prepare(operation_id)
    name, place = parameter["name"], parameter["in"]
    if place == "path" and name != "provider" and _is_in_shop(client, request, name, value):
        return  # the shop is a demo, which has the objects of the examples
    if (place, name, value) == ("path", "provider", "stripe") and not client.has_stripe:
        raise NotReachable("The deployment does not use Stripe: ORDERLY_STRIPE_SECRET_KEY.")
    if name == "Idempotency-Key":
        value = _UUID.sub(str(uuid4()), value)  # a key can be used once
    values = {"path": request.path, "query": request.query, "header": request.headers}
    values[place][name] = str(value).lower() if isinstance(value, bool) else value
    response = client.send(request)
    # The shop has nothing with the ids and entity tags of the examples, but has their provider.
    by_place: dict[str, set[int]] = {
        "path": {HTTPStatus.NOT_FOUND},
        "header": {200, 201, 204, HTTPStatus.PRECONDITION_FAILED},
    }
    expected = by_place.get(place, {HTTPStatus.OK})
    if (place, name) == ("path", "provider"):
        expected = {HTTPStatus.NO_CONTENT}
    if response.status_code not in expected:
        raise Violation(
            f"{operation_id} with the example {value!r} of {name}:"
            f" {response.status_code} {response.text}"
        )


def _is_in_shop(client: ExampleClient, request: Request, name: str, value: str) -> bool:
    """Return whether the shop has an object with the id of an example.

    If so, the request must not be sent: it could make a user of the shop an administrator.
    """
    collection, _, _ = str(request.operation["path"]).partition(f"{{{name}}}")
    for operation_id, operation in client.contract.operations.items():
        if (operation["method"], operation["path"]) == ("get", f"{collection}{{{name}}}"):
            read = client.request(operation_id)
            read.session, read.path = client.sign_in_admin(), {name: value}
            return client.send(read).is_success
    return False


def _error_codes(contract: Contract) -> Found:
    for code in contract.codes():
        if code.status != _TOO_MANY_REQUESTS:
            yield code.operation_id, str(code), partial(_is_triggered, code=code)


def _rate_limits(contract: Contract) -> Found:
    for code in contract.codes():
        if code.status == _TOO_MANY_REQUESTS:
            yield code.operation_id, str(code), partial(_is_triggered, code=code)


def _is_triggered(client: ExampleClient, *, code: ErrorCode) -> None:
    trigger = TRIGGERS.get(f"{code.operation_id} {code.code}") or TRIGGERS.get(code.code)
    if trigger is None:
        raise Violation(f"{code}: no trigger for this code is known")
    request = client.prepare(code.operation_id)
    response = trigger(client, request) or client.send(request)
    met = response.json().get("code") if response.is_error else None
    if (code.status, code.code) != (str(response.status_code), met):
        raise Violation(f"{code}: the response is {response.status_code} {response.text}")


def _conditional_requests(contract: Contract) -> Found:
    for status in contract.statuses():
        if status.status == str(HTTPStatus.NOT_MODIFIED.value):
            run = partial(_is_not_modified, operation_id=status.operation_id)
            yield status.operation_id, status.operation_id, run


def _is_not_modified(client: ExampleClient, *, operation_id: str) -> None:
    request = client.prepare(operation_id)
    request.headers["If-None-Match"] = client.send_successfully(request).headers["ETag"]
    response = client.send(request)
    if response.status_code != HTTPStatus.NOT_MODIFIED:
        raise Violation(f"{operation_id}: unchanged, but {response.status_code} {response.text}")


def _links(contract: Contract) -> Found:
    for link, link_object in contract.links():
        run = partial(_leads_to_success, link=link, link_object=link_object)
        yield link.operation_id, str(link), run


def _leads_to_success(client: ExampleClient, *, link: Link, link_object: Node) -> None:
    request = client.prepare(link.operation_id)
    if "next_cursor" in str(link_object):
        # Create a second item of the list, so that there is a next page.
        client.prepare(link.operation_id)
        request.query["limit"] = 1
    client.send_successfully(client.follow_link(link, link_object, request))


# The checks of each group, by what they show.
_GROUPS: dict[str, Callable[[Contract], Found]] = {
    "request examples succeed": _request_examples,
    "response examples have every property": _response_examples,
    "requests without optional parts succeed": _minimal_requests,
    "browsers get cookies instead of tokens": _cookies,
    "parameter examples are accepted": _parameter_examples,
    "error codes can be triggered": _error_codes,
    "unchanged things return 304": _conditional_requests,
    "links lead to requests that succeed": _links,
    "entity tags change with the object": objects.entity_tags,
    "objects of other customers are not found": objects.objects_of_others,
    "lists show nothing of other customers": objects.lists_of_others,
    "concurrent orders do not exceed the stock": races.last_units,
    "requests with one key are processed once": races.idempotency_keys,
    # The last ones: afterwards, other requests would have to wait.
    RATE_LIMITS: _rate_limits,
}


def _missing_properties(example: Any, value: Any, pointer: str = "") -> set[str]:
    """Return the JSON pointers of properties that a value has and an example does not."""
    if isinstance(value, dict) and isinstance(example, dict):
        missing = {f"{pointer}/{name}" for name in value.keys() - example.keys()}
        nested = (
            _missing_properties(example[name], value[name], f"{pointer}/{name}")
            for name in value.keys() & example.keys()
        )
        return missing.union(*nested)
    if isinstance(value, list) and isinstance(example, list) and example:
        # The first item of the example stands for all items.
        return set().union(*(_missing_properties(example[0], item, pointer) for item in value))
    return set()
