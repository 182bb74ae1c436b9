"""Send every example of the contract to a running server.

Every documented error is triggered on purpose and every link is followed, so the coverage does not
depend on generated requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from services import users
from tests.support.accounts import ADMIN
from tests.support.contract import Node, operations
from tests.support.contract_client import ExampleClient, OnResponse, Servers
from tests.support.contract_coverage import (
    Coverage,
    Link,
    documented_codes,
    documented_links,
    documented_statuses,
)
from tests.support.contract_errors import TRIGGERS
from tests.support.contract_preparations import PREPARATIONS
from tests.support.contract_requests import OPERATIONS


@pytest.fixture
def client(
    servers: Servers, coverage: Coverage, shop: str, on_response: OnResponse
) -> Iterator[ExampleClient]:
    """Return a client of a shop that is empty except for an administrator."""
    email, password = ADMIN
    users.create_admin(email=email, name="Grace", password=password)
    client = ExampleClient(
        servers, ADMIN, coverage=coverage, on_response=on_response, preparations=PREPARATIONS
    )
    yield client
    client.close()


def request_examples() -> Iterator[tuple[str, str, str]]:
    """Yield each example of a request body: operationId, media type and name."""
    for operation_id, operation in operations():
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            for example in content["examples"]:
                yield operation_id, media_type, example


# The second server requires verified addresses.
OF_THE_SECOND_SERVER = {("register", "202")}


def response_examples() -> Iterator[tuple[str, str, str]]:
    """Yield each JSON example of a success: operationId, status and name."""
    for operation_id, operation in operations():
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get("application/json", {})
            for example in content.get("examples", {}):
                if status < "300":
                    yield operation_id, status, example


def parameter_examples() -> Iterator[tuple[str, Node, str]]:
    """Yield each example of a parameter: operationId, parameter and name of the example."""
    for operation_id, operation in operations():
        for parameter in operation["parameters"]:
            for example in parameter["examples"]:
                yield operation_id, parameter, example


def as_params(cases: Iterable[tuple[Any, ...]]) -> list[Any]:
    return [pytest.param(*case, id=" ".join(_label(value) for value in case)) for case in cases]


def _label(value: Any) -> str:
    if isinstance(value, Link):
        return str(value)
    return str(value.get("name", "")) if isinstance(value, dict) else value


@pytest.mark.parametrize(("operation_id", "media_type", "example"), as_params(request_examples()))
def test_every_request_example_succeeds(
    client: ExampleClient, operation_id: str, media_type: str, example: str
) -> None:
    request = client.prepare(operation_id, media_type=media_type, example=example)

    response = client.send(request)

    assert response.is_success, response.text


@pytest.mark.parametrize(("operation_id", "status", "example"), as_params(response_examples()))
def test_a_response_example_has_every_property_of_the_response(
    client: ExampleClient, operation_id: str, status: str, example: str
) -> None:
    request = client.prepare(operation_id)
    request.rate_limited = (operation_id, status) in OF_THE_SECOND_SERVER
    response = client.send_successfully(request)

    assert status == str(response.status_code)
    content = OPERATIONS[operation_id]["responses"][status]["content"]
    value = content["application/json"]["examples"][example]["value"]
    assert set() == _missing_properties(value, response.json())


@pytest.mark.parametrize("operation_id", sorted(OPERATIONS))
def test_a_request_without_optional_parts_succeeds(
    client: ExampleClient, operation_id: str
) -> None:
    body_required = OPERATIONS[operation_id].get("requestBody", {}).get("required")
    request = client.prepare(operation_id, without_body=not body_required)

    assert client.send(request).is_success


@pytest.mark.parametrize(
    "operation_id",
    [name for name, operation in operations() if {"200", "204"} <= set(operation["responses"])],
)
def test_an_operation_that_returns_tokens_sets_cookies_instead_for_a_browser(
    client: ExampleClient, operation_id: str
) -> None:
    request = client.prepare(operation_id)
    request.use_cookie()

    response = client.send(request)

    assert (response.status_code, "Set-Cookie" in response.headers) == (204, True), response.text


@pytest.mark.parametrize(("operation_id", "parameter", "example"), as_params(parameter_examples()))
def test_every_parameter_example_is_accepted(
    client: ExampleClient, operation_id: str, parameter: Node, example: str
) -> None:
    request = client.prepare(operation_id)
    values = {"path": request.path, "query": request.query, "header": request.headers}
    value = parameter["examples"][example]["value"]
    values[parameter["in"]][parameter["name"]] = (
        str(value).lower() if isinstance(value, bool) else value
    )

    response = client.send(request)

    # The shop has nothing with the ids and entity tags of the examples, but has their provider.
    expected = {"path": {404}, "header": {200, 201, 204, 412}}.get(parameter["in"], {200})
    if (parameter["in"], parameter["name"]) == ("path", "provider"):
        expected = {204}
    assert response.status_code in expected, response.text


@pytest.mark.parametrize(("operation_id", "status", "code"), as_params(documented_codes()))
def test_every_error_code_can_be_triggered(
    pytestconfig: pytest.Config, client: ExampleClient, operation_id: str, status: str, code: str
) -> None:
    if code == "payload_too_large" and pytestconfig.getoption("--through-proxy"):
        pytest.skip("Prism hangs if a server responds before it has read the whole body")
    request = client.prepare(operation_id)
    trigger = TRIGGERS.get(f"{operation_id} {code}") or TRIGGERS[code]
    trigger(client, request)

    response = client.send(request)

    assert (status, code) == (str(response.status_code), response.json()["code"]), response.text


@pytest.mark.parametrize(
    "operation_id", [name for name, status in documented_statuses() if status == "304"]
)
def test_a_conditional_request_for_something_unchanged_returns_304(
    client: ExampleClient, operation_id: str
) -> None:
    request = client.prepare(operation_id)
    request.headers["If-None-Match"] = client.send_successfully(request).headers["ETag"]

    assert 304 == client.send(request).status_code


@pytest.mark.parametrize(("link", "link_object"), as_params(documented_links()))
def test_every_link_leads_to_a_request_that_succeeds(
    client: ExampleClient, link: Link, link_object: Node
) -> None:
    request = client.prepare(link.operation_id)
    if "next_cursor" in str(link_object):
        # Create a second item of the list, so that there is a next page.
        client.prepare(link.operation_id)
        request.query["limit"] = 1

    following = client.follow_link(link, link_object, request)

    assert not client.send(following).is_error


def test_every_error_code_has_a_trigger() -> None:
    codes = {code for _, _, code in documented_codes()}

    assert codes <= {key.split()[-1] for key in TRIGGERS}


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
