"""`orderly mock` returns every example response of the contract, without a database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import pytest

from orderly.contract.schemas import CompiledSchema
from tests.support.contract import Node, operations
from tests.support.processes import TIMEOUT_SECONDS, Server, orderly_environment, run_orderly

OPERATIONS = dict(operations())
ORDER = {"items": [{"product_id": "019a48d0-11c8-7d30-8b62-7e3f4a5b6c7d", "quantity": 2}]}
# The mock accepts any token.
CREDENTIALS = {"Authorization": "Bearer anything", "Cookie": "orderly_refresh=anything"}


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("mock")
    with (directory / "stdout").open("wb") as out, (directory / "stderr").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "orderly", "mock", "--port", "0"],
            cwd=directory,
            env=orderly_environment(ORDERLY_DATA_DIR=str(directory / "data")),
            stdout=out,
            stderr=err,
        )
    server = Server(process, directory)
    try:
        server.wait_until_ready()
        yield server
        assert {"request"} == {event["event"] for event in server.log}
        assert not (directory / "data").exists()
    finally:
        process.terminate()
        process.wait(TIMEOUT_SECONDS)


@pytest.fixture
def client(mock: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"{mock.url}/api/v1") as client:
        yield client


def requests(operation: Node) -> Iterator[dict[str, Any]]:
    """Yield a request for each example of an operation's body; one request without a body."""
    path = operation["path"]
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            (example, *_) = parameter["examples"].values()
            path = path.replace(f"{{{parameter['name']}}}", str(example["value"]))
    request = {"method": operation["method"].upper(), "url": path}
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        yield request
    for media_type, media_type_object in content.items():
        for example in media_type_object["examples"].values():
            body = {"json": example["value"]} if "json" in media_type else {}
            body = body or {"content": str(example["value"]).encode()}
            yield {**request, **body, "headers": {"Content-Type": media_type}}


def response_examples(operation: Node) -> Iterator[tuple[int, str | None, str | None, Any]]:
    """Yield each example response of an operation: status, name, media type and body."""
    for status, response in operation["responses"].items():
        if not response.get("content"):
            yield int(status), None, None, None
        for media_type, media_type_object in response.get("content", {}).items():
            for name, example in media_type_object["examples"].items():
                yield int(status), name, media_type, example["value"]


def send(client: httpx2.Client, request: Mapping[str, Any], **headers: str) -> httpx2.Response:
    return client.request(**{**request, "headers": {**request.get("headers", {}), **headers}})


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_an_operation_returns_its_first_success_by_default(
    operation_id: str, client: httpx2.Client
) -> None:
    operation = OPERATIONS[operation_id]
    for request in requests(operation):
        response = send(client, request, **CREDENTIALS)

        assert response.is_success, response.text
        status, name, _, _ = next(
            example for example in response_examples(operation) if example[0] < 300
        )
        assert status == response.status_code
        assert (
            f"code={status}" + (f", example={name}" if name else "")
            == (response.headers["preference-applied"])
        )


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_every_example_response_can_be_selected_with_the_prefer_header(
    operation_id: str, client: httpx2.Client
) -> None:
    operation = OPERATIONS[operation_id]
    request = next(requests(operation))
    for status, name, media_type, example in response_examples(operation):
        prefer = f"code={status}" + (f", example={name}" if name else "")

        response = send(client, request, **CREDENTIALS, Prefer=prefer)

        assert (status, prefer) == (response.status_code, response.headers["preference-applied"])
        documented = operation["responses"][str(status)]
        for header, header_object in documented.get("headers", {}).items():
            if header in response.headers:
                schema = CompiledSchema(header_object["schema"])
                for value in response.headers.get_list(header):
                    assert schema.accepts(value), f"{header}: {value}"
            else:
                assert not header_object.get("required"), header
        if media_type is None:
            assert "" == response.text
        elif "json" in media_type:
            body = response.json()
            if "problem" in media_type:
                assert body["request_id"] == response.headers["x-request-id"]
                body["request_id"] = example["request_id"]
            assert example == body
        else:
            assert example == response.text
        content_type = response.headers.get("content-type", "")
        assert (media_type or "") == content_type.removesuffix("; charset=utf-8")


def test_an_example_can_be_selected_by_its_name_alone(client: httpx2.Client) -> None:
    for prefer in (
        "example=insufficient_stock",
        'respond-async, example="insufficient_stock"',
        "code=409; example=insufficient_stock",
    ):
        response = client.post("/orders", json=ORDER, headers={**CREDENTIALS, "Prefer": prefer})
        assert (409, "insufficient_stock") == (response.status_code, response.json()["code"])


@pytest.mark.parametrize("prefer", ["code=418", "example=no_such", "code=404, example=two_items"])
def test_the_error_for_an_unknown_example_lists_the_known_examples(
    prefer: str, client: httpx2.Client
) -> None:
    response = client.post("/orders", json=ORDER, headers={**CREDENTIALS, "Prefer": prefer})

    assert 400 == response.status_code
    (error,) = response.json()["errors"]
    assert ("Prefer", "header") == (error["parameter"], error["in"])
    assert "code=409 example=insufficient_stock" in error["message"]


def test_requests_are_validated_as_in_the_real_server(client: httpx2.Client) -> None:
    headers = {**CREDENTIALS, "Prefer": "code=201"}

    assert 401 == client.post("/orders", json=ORDER).status_code
    assert 404 == client.get("/nowhere").status_code
    assert 405 == client.delete("/orders", headers=headers).status_code
    assert 415 == client.post("/orders", content="a=1", headers=headers).status_code
    assert 400 == client.get("/products", params={"limit": "many"}).status_code
    response = client.post("/orders", json={"items": []}, headers=headers)
    assert 400 == response.status_code
    assert ["/items"] == [error["pointer"] for error in response.json()["errors"]]


def test_sign_in_and_sign_out_work_with_cookies(client: httpx2.Client) -> None:
    credentials = {"email": "ada@example.com", "password": "any password at all"}
    assert 401 == client.get("/users/me").status_code
    assert 200 == client.post("/auth/login", json=credentials).status_code
    assert 200 == client.get("/users/me").status_code
    assert 204 == client.post("/auth/logout").status_code
    assert 401 == client.get("/users/me").status_code


def test_cross_origin_requests_are_allowed_from_any_site(client: httpx2.Client) -> None:
    origin = {"Origin": "http://localhost:5173"}
    preflight = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,prefer,idempotency-key",
    }

    assert 200 == client.options("/orders", headers={**origin, **preflight}).status_code
    response = client.get("/products", headers=origin)
    assert origin["Origin"] == response.headers["access-control-allow-origin"]
    assert "true" == response.headers["access-control-allow-credentials"]


def test_the_location_of_a_created_product_has_the_id_of_the_example(client: httpx2.Client) -> None:
    product = next(requests(OPERATIONS["create_product"]))
    response = send(client, product, **CREDENTIALS)

    assert f"/api/v1/products/{response.json()['id']}" == response.headers["location"]


def test_the_mock_serves_the_html_pages(mock: Server) -> None:
    for path in ("/", "/docs", "/openapi.json", "/problems", "/changelog", "/health/ready"):
        assert 200 == mock.get(path).status_code


def test_help_explains_how_to_select_an_example(tmp_path: Any) -> None:
    assert "Prefer: example=NAME" in run_orderly("mock", "--help", directory=tmp_path).stdout
