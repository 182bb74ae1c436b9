"""Requests to operations of the contract, and checks of the responses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import httpx2

from orderly.contract.closed_schemas import closed
from orderly.contract.schemas import CompiledSchema
from orderly.verification.contract import Contract, Node


class Violation(AssertionError):  # noqa: N818  # it is an error of the server
    """The server does not behave as the contract says. The message says how."""


class NotReachable(Exception):  # noqa: N818  # it is no error
    """This deployment cannot give the response. The message says which of its settings is why."""


class UserSession(NamedTuple):
    """A signed-in user's session, with its tokens."""

    user_id: str
    session_id: str
    access_token: str
    refresh_token: str


@dataclass
class Request:
    """A request to an operation. Checks change it before they send it."""

    contract: Contract
    operation_id: str
    session: UserSession | None = None
    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    media_type: str = ""
    content: bytes | None = None  # sent instead of `body`
    to_strict_server: bool = False  # sent to the second server
    may_be_limited: bool = False  # do not repeat it after 429

    @property
    def operation(self) -> Node:
        """The operation, with its method, its path and all parameters."""
        return self.contract.operations[self.operation_id]

    def encoded(self) -> bytes | None:
        """Return the body as it is sent."""
        if self.content is not None or self.body is None:
            return self.content
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()

    def use_cookie(self) -> None:
        """Send the access token in a cookie, as a browser does, instead of as a bearer token."""
        if self.session:
            name = cookie_name(self.contract, "cookieAuth")
            self.headers["Cookie"] = f"{name}={self.session.access_token}"
            self.session = None


def cookie_name(contract: Contract, scheme: str) -> str:
    """Return the name of the cookie of a security scheme; over HTTPS it has a prefix."""
    name: str = contract.document["components"]["securitySchemes"][scheme]["name"]
    return name


def json_request(contract: Contract, operation_id: str, body: Any = None) -> Request:
    """Return a request with a JSON body and nothing else."""
    media_type = "" if body is None else "application/json"
    return Request(contract, operation_id, body=body, media_type=media_type)


def assert_documented(request: Request, response: httpx2.Response) -> None:
    """Check that the contract documents a response: its status, headers, media type and schema.

    Raises:
        Violation: it does not.
    """
    documented = request.operation["responses"].get(str(response.status_code))
    description = f"{request.operation_id}: {response.status_code} {response.text[:500]}"
    if documented is None:
        raise Violation(f"The status is not documented. {description}")
    for name, header in documented.get("headers", {}).items():
        if header.get("required") and name not in response.headers:
            raise Violation(f"The header {name} is missing. {description}")
    if response.content and not documented.get("content"):
        raise Violation(f"The contract documents no body. {description}")
    for media_type, content in documented.get("content", {}).items():
        sent_type = response.headers.get("Content-Type", "none")
        if media_type.split(";")[0] != sent_type.split(";")[0]:
            raise Violation(f"The media type {sent_type} is not documented. {description}")
        if media_type.endswith("json"):
            _check_schema(content["schema"], response, description)


def _check_schema(schema: Node, response: httpx2.Response, description: str) -> None:
    violations = _compiled(_Identity(schema)).violations(response.json())
    if violations:
        raise Violation(f"The body does not match its schema: {violations}. {description}")


class _Identity:
    """Makes a schema a key of a cache; the contract keeps the schema alive."""

    def __init__(self, schema: Node) -> None:
        self.schema = schema

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.schema is other.schema

    def __hash__(self) -> int:
        return id(self.schema)


@cache
def _compiled(identity: _Identity) -> CompiledSchema:
    return CompiledSchema(closed(identity.schema))


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
