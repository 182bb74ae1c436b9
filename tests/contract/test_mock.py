"""`orderly mock`: every answer of the contract to be had, without a shop."""

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
BASKET = {"items": [{"product_id": "019a48d0-11c8-7d30-8b62-7e3f4a5b6c7d", "quantity": 2}]}
SIGNED_IN = {"Authorization": "Bearer anything", "Cookie": "orderly_refresh=anything"}


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
    """Yield the requests that an operation's own examples make: one for each of its body's."""
    path = operation["path"]
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            (example, *_) = parameter["examples"].values()
            path = path.replace(f"{{{parameter['name']}}}", str(example["value"]))
    request = {"method": operation["method"].upper(), "url": path}
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        yield request
    for media_type, described in content.items():
        for example in described["examples"].values():
            body = {"json": example["value"]} if "json" in media_type else {}
            body = body or {"content": str(example["value"]).encode()}
            yield {**request, **body, "headers": {"Content-Type": media_type}}


def examples(operation: Node) -> Iterator[tuple[int, str | None, str | None, Any]]:
    """Yield each answer that an operation has: status, name, media type and body."""
    for status, response in operation["responses"].items():
        if not response.get("content"):
            yield int(status), None, None, None
        for media_type, described in response.get("content", {}).items():
            for name, example in described["examples"].items():
                yield int(status), name, media_type, example["value"]


def send(client: httpx2.Client, request: Mapping[str, Any], **headers: str) -> httpx2.Response:
    return client.request(**{**request, "headers": {**request.get("headers", {}), **headers}})


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_each_operation_answers_a_success_at_once(operation_id: str, client: httpx2.Client) -> None:
    operation = OPERATIONS[operation_id]
    for request in requests(operation):
        answer = send(client, request, **SIGNED_IN)

        assert answer.is_success, answer.text
        status, name, _, _ = next(one for one in examples(operation) if one[0] < 300)
        assert status == answer.status_code
        assert (
            f"code={status}" + (f", example={name}" if name else "")
            == (answer.headers["preference-applied"])
        )


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_each_answer_of_an_operation_can_be_chosen(
    operation_id: str, client: httpx2.Client
) -> None:
    operation = OPERATIONS[operation_id]
    request = next(requests(operation))
    for status, name, media_type, value in examples(operation):
        prefer = f"code={status}" + (f", example={name}" if name else "")

        answer = send(client, request, **SIGNED_IN, Prefer=prefer)

        assert (status, prefer) == (answer.status_code, answer.headers["preference-applied"])
        response = operation["responses"][str(status)]
        for header, described in response.get("headers", {}).items():
            if header in answer.headers:
                schema = CompiledSchema(described["schema"])
                for field in answer.headers.get_list(header):
                    assert schema.accepts(field), f"{header}: {field}"
            else:
                assert not described.get("required"), header
        if media_type is None:
            assert "" == answer.text
        elif "json" in media_type:
            body = answer.json()
            if "problem" in media_type:
                assert body["request_id"] == answer.headers["x-request-id"]
                body["request_id"] = value["request_id"]
            assert value == body
        else:
            assert value == answer.text
        assert (media_type or "") == answer.headers.get("content-type", "")


def test_an_example_is_chosen_by_its_name_alone(client: httpx2.Client) -> None:
    for prefer in (
        "example=insufficient_stock",
        'respond-async, example="insufficient_stock"',
        "code=409; example=insufficient_stock",
    ):
        answer = client.post("/orders", json=BASKET, headers={**SIGNED_IN, "Prefer": prefer})
        assert (409, "insufficient_stock") == (answer.status_code, answer.json()["code"])


@pytest.mark.parametrize("prefer", ["code=418", "example=no_such", "code=404, example=two_items"])
def test_what_the_contract_does_not_have_is_told_with_what_it_has(
    prefer: str, client: httpx2.Client
) -> None:
    answer = client.post("/orders", json=BASKET, headers={**SIGNED_IN, "Prefer": prefer})

    assert 400 == answer.status_code
    (error,) = answer.json()["errors"]
    assert ("Prefer", "header") == (error["parameter"], error["in"])
    assert "code=409 example=insufficient_stock" in error["message"]


def test_requests_are_judged_as_the_shop_judges_them(client: httpx2.Client) -> None:
    ok = {**SIGNED_IN, "Prefer": "code=201"}

    assert 401 == client.post("/orders", json=BASKET).status_code
    assert 404 == client.get("/nowhere").status_code
    assert 405 == client.delete("/orders", headers=ok).status_code
    assert 415 == client.post("/orders", content="a=1", headers=ok).status_code
    assert 400 == client.get("/products", params={"limit": "many"}).status_code
    answer = client.post("/orders", json={"items": []}, headers=ok)
    assert 400 == answer.status_code
    assert ["/items"] == [error["pointer"] for error in answer.json()["errors"]]


def test_a_browser_is_signed_in_and_out_by_cookies(client: httpx2.Client) -> None:
    credentials = {"email": "ada@example.com", "password": "whatever she likes"}
    assert 401 == client.get("/users/me").status_code
    assert 200 == client.post("/auth/login", json=credentials).status_code
    assert 200 == client.get("/users/me").status_code
    assert 204 == client.post("/auth/logout").status_code
    assert 401 == client.get("/users/me").status_code


def test_a_page_of_any_site_may_call(client: httpx2.Client) -> None:
    origin = {"Origin": "http://localhost:5173"}
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,prefer,idempotency-key",
    }

    assert 200 == client.options("/orders", headers={**origin, **asked}).status_code
    answer = client.get("/products", headers=origin)
    assert origin["Origin"] == answer.headers["access-control-allow-origin"]
    assert "true" == answer.headers["access-control-allow-credentials"]


def test_what_was_made_is_where_its_kind_is_found(client: httpx2.Client) -> None:
    product = next(requests(OPERATIONS["create_product"]))
    answer = send(client, product, **SIGNED_IN)

    assert f"/api/v1/products/{answer.json()['id']}" == answer.headers["location"]


def test_the_pages_are_there_too(mock: Server) -> None:
    for path in ("/", "/docs", "/openapi.json", "/problems", "/changelog", "/health/ready"):
        assert 200 == mock.get(path).status_code


def test_help_tells_how_to_choose(tmp_path: Any) -> None:
    assert "Prefer: example=NAME" in run_orderly("mock", "--help", directory=tmp_path).stdout
