"""The conventions of the contract's operations, each held by a test over all of them."""

from __future__ import annotations

import re

import pytest

from orderly.contract.deprecation import deprecation_headers
from orderly.contract.schemas import CompiledSchema
from orderly.http.problems import PROBLEM_TYPES
from tests.support.contract import (
    DOCUMENT,
    RESOLVED,
    Node,
    each,
    media_types,
    operations,
    parameter_names,
)

UNSAFE = ("put", "post", "patch", "delete")
THROTTLED = {"register", "login", "issue_token", "refresh_session", "change_password"}
SNAKE_CASE = re.compile(r"[a-z]+(_[a-z]+)*")


@each(operations())
def test_an_operation_says_what_it_is(node: Node) -> None:
    assert SNAKE_CASE.fullmatch(node["operationId"])
    assert node["x-openapi-router-controller"] == f"handlers.{node['tags'][0]}"
    assert len(node["tags"]) == 1
    assert node["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
    assert not node["summary"].endswith(".")
    assert node["description"].endswith(".")
    assert node.get("x-required-role", "ADMIN") in DOCUMENT["components"]["schemas"]["Role"]["enum"]


@each(operations())
def test_an_operation_documents_every_status_it_can_answer(node: Node) -> None:
    signed_in = node.get("security", DOCUMENT["security"]) != []
    headers = parameter_names(node, "header")
    expected = {
        "304": "If-None-Match" in headers,
        "400": True,
        "401": signed_in or node["operationId"] in {"login", "issue_token"},
        "403": "x-required-role" in node or (signed_in and node["method"] in UNSAFE),
        "404": bool(parameter_names(node, "path")),
        "412": "If-Match" in headers,
        "413": "requestBody" in node,
        "415": "requestBody" in node,
        "422": "Idempotency-Key" in headers,
        "429": node["operationId"] in THROTTLED,
        "500": True,
        "503": True,
    }

    documented = {status for status in node["responses"] if status >= "300"}

    assert documented - {"409"} == {status for status, can_be in expected.items() if can_be}
    assert len(node["responses"].keys() - documented) == 1


@each((name, one["responses"]) for name, one in operations())
def test_responses_carry_the_headers_that_their_status_asks_for(node: Node) -> None:
    asked_for = {
        "201": {"Location"},
        "304": {"ETag"},
        "401": {"WWW-Authenticate"},
        "429": {"Retry-After", "RateLimit", "RateLimit-Policy"},
        "503": {"Retry-After"},
    }
    for status, response in node.items():
        wanted = {"X-Request-ID"} | asked_for.get(status, set())

        assert wanted <= response["headers"].keys()


@each(operations())
def test_a_deprecated_operation_says_until_when_it_is_answered(node: Node) -> None:
    announced = {"Deprecation", "Sunset"} if deprecation_headers(node) else set()
    for status, response in node["responses"].items():
        if status < "300":
            assert announced == response["headers"].keys() & {"Deprecation", "Sunset"}


# What is no object but a file.
FILES = dict.fromkeys(("export_orders", "export_products"), "text/csv; charset=utf-8")


@each(operations())
def test_errors_are_problem_documents_and_successes_json(node: Node) -> None:
    success = FILES.get(node["operationId"], "application/json")
    for status, response in node["responses"].items():
        expected = success if status < "300" else "application/problem+json"
        without_body = status in {"204", "304"}

        assert list(response.get("content", {})) == ([] if without_body else [expected])
        if status >= "400":
            schema = response["content"][expected]["schema"]
            assert (
                schema["properties"].keys()
                == DOCUMENT["components"]["schemas"]["Problem"]["properties"].keys()
            )


@each(
    (f"{method} {path}", operation["responses"])
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
)
def test_refusals_are_shared_responses(node: Node) -> None:
    for status, response in node.items():
        assert list(response) == ["$ref"] or status < "300"


@each(media_types())
def test_a_body_is_shown_by_named_stories_that_fit_its_schema(node: Node) -> None:
    schema = CompiledSchema(node["schema"])

    assert node["examples"]
    for name, example in node["examples"].items():
        assert SNAKE_CASE.fullmatch(name)
        assert example["summary"]
        assert schema.violations(example["value"]) == []


@each((f"{n} {p['name']}", p) for n, one in operations() for p in one["parameters"])
def test_a_parameter_is_described_and_shown(node: Node) -> None:
    schema = CompiledSchema(node["schema"])

    assert node["description"].endswith(".")
    assert node["examples"]
    for example in node["examples"].values():
        assert schema.violations(example["value"]) == []


@each(RESOLVED["components"]["headers"].items())
def test_a_header_is_described_and_shown(node: Node) -> None:
    assert node["description"].endswith(".")
    if "example" in node:
        assert CompiledSchema(node["schema"]).violations(node["example"]) == []


@each(
    (f"{name} {link_name}", link)
    for name, one in operations()
    for response in one["responses"].values()
    for link_name, link in response.get("links", {}).items()
)
def test_a_link_leads_to_an_operation_that_takes_what_it_gives(node: Node) -> None:
    target = dict(operations())[node["operationId"]]
    names = {parameter["name"] for parameter in target["parameters"]}

    assert node["description"].endswith(".")
    assert node.get("parameters", {}).keys() <= names
    assert parameter_names(target, "path") <= node.get("parameters", {}).keys()
    if isinstance(node.get("requestBody"), dict):
        schema = next(iter(target["requestBody"]["content"].values()))["schema"]
        assert set(schema.get("required", ())) <= node["requestBody"].keys()


@pytest.mark.parametrize(
    ("creation", "uses"),
    [
        (
            "create_product",
            {
                *("get_product", "update_product", "archive_product", "restore_product"),
                *("adjust_stock", "list_stock_movements", "create_order"),
            },
        ),
        (
            "create_order",
            {"get_order", "update_order_status", "cancel_order", "list_order_events"},
        ),
        ("register", {"login", "issue_token", "get_user", "update_user"}),
    ],
)
def test_a_creation_links_to_the_operations_that_use_what_it_made(
    creation: str, uses: set[str]
) -> None:
    links = dict(operations())[creation]["responses"]["201"]["links"].values()

    assert uses <= {link["operationId"] for link in links}


@each(
    (name, example["value"])
    for name, example in DOCUMENT["components"]["examples"].items()
    if "/problems#" in str(example["value"])
)
def test_a_problem_is_shown_as_the_server_would_tell_it(node: Node) -> None:
    kind = PROBLEM_TYPES[node["code"]]

    assert node["type"] == f"/problems#{node['code']}"
    assert (node["status"], node["title"]) == (kind.status, kind.title)


@each(DOCUMENT["components"]["responses"].items())
def test_a_problem_response_names_its_codes(node: Node) -> None:
    for content in node.get("content", {}).values():
        for reference in content["examples"].values():
            example = DOCUMENT["components"]["examples"][reference["$ref"].rpartition("/")[2]]
            assert f"`{example['value']['code']}`" in node["description"]


def test_every_security_scheme_is_used() -> None:
    used = {
        scheme
        for _, one in operations()
        for requirement in one.get("security", DOCUMENT["security"])
        for scheme in requirement
    }

    assert used == DOCUMENT["components"]["securitySchemes"].keys()
