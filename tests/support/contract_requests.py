"""Requests to operations of the contract, and checks of the responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx2

from orderly.contract.closed_schemas import closed
from orderly.contract.schemas import CompiledSchema
from tests.support.contract import DOCUMENT, Node, operations

OPERATIONS: Mapping[str, Node] = dict(operations())
EXAMPLES = {name: example["value"] for name, example in DOCUMENT["components"]["examples"].items()}


class UserSession(NamedTuple):
    """A signed-in user's session, with its tokens."""

    user_id: str
    session_id: str
    access_token: str
    refresh_token: str


@dataclass
class Request:
    """A request to an operation. Tests change it before they send it."""

    operation_id: str
    session: UserSession | None = None
    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    media_type: str = ""
    content: bytes | None = None  # sent instead of `body`
    rate_limited: bool = False  # sent to the server with low rate limits

    @property
    def operation(self) -> Node:
        return OPERATIONS[self.operation_id]

    def use_cookie(self) -> None:
        """Send the access token in a cookie, as a browser does, instead of as a bearer token."""
        assert self.session
        self.headers["Cookie"] = f"orderly_access={self.session.access_token}"
        self.session = None


def json_request(operation_id: str, body: Any = None) -> Request:
    """Return a request with a JSON body and nothing else."""
    media_type = "" if body is None else "application/json"
    return Request(operation_id, body=body, media_type=media_type)


def assert_documented(request: Request, response: httpx2.Response) -> None:
    """Fail if the response does not match the contract."""
    documented = request.operation["responses"].get(str(response.status_code))
    description = f"{request.operation_id}: {response.status_code} {response.text[:500]}"
    assert documented is not None, description
    for name, header in documented.get("headers", {}).items():
        assert name in response.headers or not header.get("required"), f"{description}: no {name}"
    for media_type, content in documented.get("content", {}).items():
        sent_type = response.headers["Content-Type"]
        assert media_type.split(";")[0] == sent_type.split(";")[0], description
        if media_type.endswith("json"):
            assert [] == CompiledSchema(closed(content["schema"])).violations(response.json()), (
                description
            )
    assert response.content == b"" or documented.get("content"), description


def evaluate(expression: Any, request: Request, response: httpx2.Response) -> Any:
    """Return the value of a link's runtime expressions (OpenAPI 3.0, section 4.7.20.3)."""
    if isinstance(expression, dict):
        return {key: evaluate(value, request, response) for key, value in expression.items()}
    if isinstance(expression, list):
        return [evaluate(item, request, response) for item in expression]
    if not isinstance(expression, str) or not expression.startswith("$"):
        return expression
    source, _, pointer = expression.partition("#")
    kind, _, name = source.rpartition(".")
    if source in {"$response.body", "$request.body"}:
        value = response.json() if source == "$response.body" else request.body
        for key in pointer.split("/")[1:]:
            value = value[int(key) if isinstance(value, list) else key]
        return value
    parts: dict[str, Mapping[str, str]] = {
        "$response.header": response.headers,
        "$request.header": request.headers,
        "$request.path": request.path,
    }
    return parts[kind][name]
