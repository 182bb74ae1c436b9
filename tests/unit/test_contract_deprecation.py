"""Responses of deprecated operations have the headers that the document implies."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from starlette.routing import Router
from starlette.testclient import TestClient

from orderly.contract.deprecation import deprecation_headers
from orderly.factory import connexion_app

DOCUMENT = """
openapi: 3.0.3
info: {title: Sample, version: 1.0.0}
servers: [{url: /api/v1}]
security: []
paths:
  /things/{thing_id}:
    get:
      operationId: get_thing
      x-openapi-router-controller: tests.unit.test_contract_deprecation
      deprecated: true
      x-deprecated-since: '2026-11-23'
      x-sunset: '2027-05-31'
      parameters: [{name: thing_id, in: path, required: true, schema: {type: integer}}]
      responses:
        '200':
          description: The thing.
          content: {application/json: {schema: {type: object}}}
  /items/{item_id}:
    get:
      operationId: get_item
      x-openapi-router-controller: tests.unit.test_contract_deprecation
      parameters: [{name: item_id, in: path, required: true, schema: {type: integer}}]
      responses:
        '200':
          description: The item.
          content: {application/json: {schema: {type: object}}}
"""


def get_thing(thing_id: int) -> tuple[dict[str, Any], int, dict[str, str]]:
    return {"id": thing_id}, 200, {}


def get_item(item_id: int) -> tuple[dict[str, Any], int, dict[str, str]]:
    return {"id": item_id}, 200, {}


@pytest.fixture
def client() -> TestClient:
    return TestClient(connexion_app(yaml.safe_load(DOCUMENT), other_routes=Router()))


def deprecation_and_sunset(response: Any) -> tuple[str | None, str | None]:
    return response.headers.get("Deprecation"), response.headers.get("Sunset")


@pytest.mark.parametrize(("thing_id", "status"), [("7", 200), ("seven", 400)])
def test_every_response_of_a_deprecated_operation_has_deprecation_headers(
    client: TestClient, thing_id: str, status: int
) -> None:
    response = client.get(f"/api/v1/things/{thing_id}")

    assert status == response.status_code
    assert ("@1795392000", "Mon, 31 May 2027 00:00:00 GMT") == deprecation_and_sunset(response)


def test_other_responses_have_no_deprecation_headers(client: TestClient) -> None:
    assert (None, None) == deprecation_and_sunset(client.get("/api/v1/items/7"))
    assert (None, None) == deprecation_and_sunset(client.get("/api/v1/nothing"))


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ({"deprecated": True}, "x-deprecated-since must be a date"),
        ({"deprecated": True, "x-deprecated-since": "2026-11-23"}, "x-sunset must be a date"),
        (
            {"deprecated": True, "x-deprecated-since": "2026-11-23", "x-sunset": "soon"},
            "x-sunset must be a date",
        ),
        (
            {"deprecated": True, "x-deprecated-since": "2026-11-23", "x-sunset": "2026-11-22"},
            "removed before it is deprecated",
        ),
        ({"x-sunset": "2026-11-22"}, "is not deprecated"),
    ],
)
def test_a_deprecation_without_valid_dates_is_an_error(
    operation: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        deprecation_headers({"operationId": "get_thing", **operation})
