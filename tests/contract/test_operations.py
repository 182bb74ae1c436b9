"""Every operation of the contract follows the conventions: names, statuses, headers, examples."""

from __future__ import annotations

import re
from typing import Any

import pytest

from orderly.contract.closed_schemas import closed
from orderly.contract.deprecation import deprecation_headers
from orderly.contract.schemas import CompiledSchema
from orderly.http.problems import PROBLEM_TYPES
from orderly.http.slots import PRIORITIES
from orderly.verification.triggers import LIMITED_ATTEMPTS
from tests.support.contract import (
    DOCUMENT,
    RESOLVED,
    Node,
    codes_in,
    each,
    media_types,
    operations,
    parameter_names,
)

SCHEMAS = DOCUMENT["components"]["schemas"]
UNSAFE = ("put", "post", "patch", "delete")
# change_password: tokens in cookies (204) or in the body (200), as the request was authenticated.
# register: the user (201), or a mail (202) if the shop requires verified emails.
TWO_SUCCESSES = {"change_password", "register"}
SNAKE_CASE = re.compile(r"[a-z]+(_[a-z]+)*")


@each(operations())
def test_an_operation_has_names_a_handler_and_a_description(node: Node) -> None:
    assert SNAKE_CASE.fullmatch(node["operationId"])
    assert node["x-openapi-router-controller"] == f"handlers.{node['tags'][0]}"
    assert len(node["tags"]) == 1
    assert node["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
    assert not node["summary"].endswith(".")
    assert node["description"].endswith(".")
    assert node.get("x-required-role", "ADMIN") in DOCUMENT["components"]["schemas"]["Role"]["enum"]
    assert node.get("x-load-priority", "normal") in PRIORITIES


@each(operations())
def test_an_operation_documents_every_status_that_it_can_return(node: Node) -> None:
    authenticated = node.get("security", DOCUMENT["security"]) != []
    headers = parameter_names(node, "header")
    is_download = "Content-Disposition" in node["responses"].get("200", {}).get("headers", {})
    same_origin_only = node["method"] in UNSAFE or is_download
    expected = {
        "304": "If-None-Match" in headers,
        "400": True,
        "401": authenticated or node["operationId"] in {"login", "issue_token"},
        "403": "x-required-role" in node or (authenticated and same_origin_only),
        "404": bool(parameter_names(node, "path")) or "sandbox" in node["tags"],
        "412": "If-Match" in headers,
        "413": "requestBody" in node,
        "415": "requestBody" in node,
        "422": "Idempotency-Key" in headers,
        "429": True,
        "500": True,
        "503": True,
    }

    documented = {status for status in node["responses"] if status >= "300"}

    assert documented - {"409"} == {status for status, possible in expected.items() if possible}
    successes = 2 if node["operationId"] in TWO_SUCCESSES else 1
    assert len(node["responses"].keys() - documented) == successes


# POST operations that take no key, since a repeated request has no other effect than the first one.
IDEMPOTENT = {
    # The second one is refused, or finds the state that it asks for.
    *("register", "confirm_password_reset", "confirm_email_verification", "refresh_session"),
    *("logout", "restore_product", "cancel_order", "cancel_payment", "settle_sandbox_payment"),
    # The products have the values of the file already; the provider's event has an id.
    *("import_products", "receive_payment_notification"),
    # A session, or a mail, more than needed: both are limited, and have no other effect.
    *("login", "issue_token", "request_password_reset", "request_email_verification"),
}


def test_every_post_that_is_not_idempotent_takes_an_idempotency_key() -> None:
    takes_key = {
        name: "Idempotency-Key" in parameter_names(operation, "header")
        for name, operation in operations()
        if operation["method"] == "post"
    }

    assert {name for name, takes in takes_key.items() if not takes} == IDEMPOTENT


@each((name, operation["responses"]) for name, operation in operations())
def test_responses_have_the_headers_of_their_status(node: Node) -> None:
    headers_by_status = {
        "201": {"Location"},
        "304": {"ETag"},
        "401": {"WWW-Authenticate"},
        "429": {"Retry-After", "RateLimit", "RateLimit-Policy"},
        "503": {"Retry-After"},
    }
    for status, response in node.items():
        expected = {"X-Request-ID"} | headers_by_status.get(status, set())

        assert expected <= response["headers"].keys()


@each(operations())
def test_an_operation_documents_the_limits_of_its_requests_and_of_its_attempts(node: Node) -> None:
    content = node["responses"]["429"]["content"]["application/problem+json"]
    attempts = {"too_many_attempts"} if node["operationId"] in LIMITED_ATTEMPTS else set()

    assert content["examples"].keys() == {"too_many_requests"} | attempts


# Not compressed: secrets of payments, sessions, and mails with links. Lists of refunds are short.
NOT_COMPRESSED_LISTS = {"list_payments", "list_refunds", "list_sandbox_mail", "list_sessions"}
SECRETS = {"access_token", "client_secret", "html", "redirect_url", "refresh_token", "text"}


def test_lists_and_csv_files_without_secrets_are_compressed() -> None:
    compressed = {name for name, operation in operations() if operation.get("x-compressed")}
    lists = {
        name
        for name, operation in operations()
        if name.startswith("list_") or name in {"export_orders", "export_products"}
    }

    assert compressed == lists - NOT_COMPRESSED_LISTS


@each((name, operation) for name, operation in operations() if operation.get("x-compressed"))
def test_a_compressed_response_contains_no_secret(node: Node) -> None:
    success = node["responses"]["200"]

    assert "get" == node["method"]
    assert "Set-Cookie" not in success["headers"]
    assert SECRETS.isdisjoint(_names_in(success["content"]))


def _names_in(node: Any) -> set[str]:
    """Return the names of all properties of the schemas in a node."""
    if isinstance(node, list):
        return set().union(*map(_names_in, node))
    if not isinstance(node, dict):
        return set()
    properties = node.get("properties", {})
    return set(properties).union(*map(_names_in, node.values()))


@each(operations())
def test_a_deprecated_operation_documents_the_deprecation_headers(
    node: Node,
) -> None:
    expected = {"Deprecation", "Sunset"} if deprecation_headers(node) else set()
    for status, response in node["responses"].items():
        if status < "300":
            assert expected == response["headers"].keys() & {"Deprecation", "Sunset"}


# Operations that return a file.
FILES = dict.fromkeys(("export_orders", "export_products"), "text/csv")


@each(operations())
def test_errors_are_problem_documents_and_successes_json(node: Node) -> None:
    success = FILES.get(node["operationId"], "application/json")
    for status, response in node["responses"].items():
        expected = success if status < "300" else "application/problem+json"
        has_body = status not in {"204", "304"}

        assert list(response.get("content", {})) == ([expected] if has_body else [])
        if status >= "400":
            problem = RESOLVED["components"]["schemas"]["Problem"]
            schema = response["content"][expected]["schema"]
            assert all(one["allOf"] == [problem] for one in schema.get("oneOf", [schema]))


@each(
    (f"{method} {path}", operation["responses"])
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
)
def test_errors_are_shared_components(node: Node) -> None:
    for status, response in node.items():
        assert list(response) == ["$ref"] or status < "300"


@each(media_types())
def test_a_body_has_named_examples_that_match_its_schema(node: Node) -> None:
    schema = CompiledSchema(closed(node["schema"]))

    assert node["examples"]
    for name, example in node["examples"].items():
        assert SNAKE_CASE.fullmatch(name)
        assert example["summary"]
        assert schema.violations(example["value"]) == []


@each(
    (f"{operation_id} {parameter['name']}", parameter)
    for operation_id, operation in operations()
    for parameter in operation["parameters"]
)
def test_a_parameter_has_a_description_and_examples(node: Node) -> None:
    schema = CompiledSchema(node["schema"])

    assert node["description"].endswith(".")
    assert node["examples"]
    for example in node["examples"].values():
        assert schema.violations(example["value"]) == []


@each(RESOLVED["components"]["headers"].items())
def test_a_header_has_a_description_and_its_example_matches_its_schema(node: Node) -> None:
    assert node["description"].endswith(".")
    if "example" in node:
        assert CompiledSchema(node["schema"]).violations(node["example"]) == []


@each(
    (f"{operation_id} {name}", link)
    for operation_id, operation in operations()
    for response in operation["responses"].values()
    for name, link in response.get("links", {}).items()
)
def test_a_link_provides_what_its_target_operation_requires(node: Node) -> None:
    target = dict(operations())[node["operationId"]]
    names = {parameter["name"] for parameter in target["parameters"]}

    assert node["description"].endswith(".")
    assert node.get("parameters", {}).keys() <= names
    assert parameter_names(target, "path") <= node.get("parameters", {}).keys()
    if isinstance(node.get("requestBody"), dict):
        schema = next(iter(target["requestBody"]["content"].values()))["schema"]
        assert set(schema.get("required", ())) <= node["requestBody"].keys()


@pytest.mark.parametrize(
    ("operation_id", "targets"),
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
def test_an_operation_that_creates_something_links_to_the_operations_on_it(
    operation_id: str, targets: set[str]
) -> None:
    links = dict(operations())[operation_id]["responses"]["201"]["links"].values()

    assert targets <= {link["operationId"] for link in links}


@each(
    (name, example["value"])
    for name, example in DOCUMENT["components"]["examples"].items()
    if "/problems#" in str(example["value"])
)
def test_the_example_of_a_problem_equals_what_the_server_sends(node: Node) -> None:
    problem_type = PROBLEM_TYPES[node["code"]]

    assert node["type"] == f"/problems#{node['code']}"
    assert (node["status"], node["title"]) == (problem_type.status, problem_type.title)


@each(DOCUMENT["components"]["responses"].items())
def test_the_description_of_an_error_names_its_codes(node: Node) -> None:
    for content in node.get("content", {}).values():
        for reference in content["examples"].values():
            example = DOCUMENT["components"]["examples"][reference["$ref"].rpartition("/")[2]]
            assert f"`{example['value']['code']}`" in node["description"]


@each(RESOLVED["components"]["responses"].items())
def test_the_examples_of_an_error_have_the_codes_of_its_schema(node: Node) -> None:
    for content in node.get("content", {}).values():
        examples = {example["value"]["code"] for example in content["examples"].values()}

        assert examples == codes_in(content["schema"])


@each((name, schema) for name, schema in SCHEMAS.items() if name.endswith("Problem"))
def test_the_schema_of_a_problem_has_one_code_and_its_name(node: Node) -> None:
    if "allOf" in node:
        (code,) = node["properties"]["code"]["enum"]

        assert node == SCHEMAS[f"{code.title().replace('_', '')}Problem"]
        assert f"`{code}`" in node["description"]


def test_a_union_maps_each_code_to_its_schema() -> None:
    schema = DOCUMENT["components"]["responses"]["Unauthenticated"]["content"]
    discriminator = schema["application/problem+json"]["schema"]["discriminator"]

    assert discriminator == {
        "propertyName": "code",
        "mapping": {
            "unauthenticated": "#/components/schemas/UnauthenticatedProblem",
            "invalid_token": "#/components/schemas/InvalidTokenProblem",
        },
    }


def test_the_contract_has_the_codes_of_the_server() -> None:
    assert SCHEMAS["ProblemCode"]["enum"] == list(PROBLEM_TYPES)


def test_every_security_scheme_is_used() -> None:
    used = {
        scheme
        for _, operation in operations()
        for requirement in operation.get("security", DOCUMENT["security"])
        for scheme in requirement
    }

    assert used == DOCUMENT["components"]["securitySchemes"].keys()
