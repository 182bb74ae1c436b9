"""Makes the requests that the contract shows, in a shop where they have what they speak of.

The examples tell of Ada, who registers, signs in and buys a hand grinder. Here that happens: her
requests go out as they are written, but for ids and tokens, which a server makes up by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from uuid import uuid4

import httpx2

from orderly.contract.schemas import CompiledSchema
from tests.contract.coverage import Coverage, Link
from tests.support.contract import DOCUMENT, Node, operations

REPLAYED = "replayed"
OPERATIONS: Mapping[str, Node] = dict(operations())
EXAMPLES = {name: one["value"] for name, one in DOCUMENT["components"]["examples"].items()}
PLENTY = 1000


class Person(NamedTuple):
    """Somebody who is signed in, and what proves it."""

    user_id: str
    session_id: str
    access_token: str
    refresh_token: str


@dataclass
class Request:
    """A request of an operation, to be changed before it is sent."""

    operation_id: str
    person: Person | None = None
    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    media_type: str = ""
    content: bytes | None = None
    is_throttled: bool = False

    @property
    def operation(self) -> Node:
        return OPERATIONS[self.operation_id]

    def by_cookie(self) -> None:
        """Send the access token as a browser does."""
        assert self.person
        self.headers["Cookie"] = f"orderly_access={self.person.access_token}"
        self.person = None


Step = Callable[["Visitor", Request], None]
Watch = Callable[[Request, httpx2.Response], None]


class Visitor:
    """Somebody who does what the contract says, and looks whether the shop does so, too."""

    def __init__(
        self,
        entrance: str,
        throttled_entrance: str,
        admin: tuple[str, str],
        *,
        coverage: Coverage,
        watch: Watch,
        arrangements: Mapping[str, Step],
    ) -> None:
        """Visit the shop whose contract begins at `entrance`; `watch` is shown each answer.

        At the other entrance, of the same shop, hardly anything may be tried twice.
        """
        self._client = httpx2.Client(timeout=60)
        self._entrances = {False: entrance, True: throttled_entrance}
        self._admin = {"email": admin[0], "password": admin[1]}
        self._coverage = coverage
        self._watch = watch
        self._arrangements = arrangements
        self._is_registered = False

    def close(self) -> None:
        """Leave."""
        self._client.close()

    def send(self, request: Request) -> httpx2.Response:
        """Send a request; make sure that the contract knows the answer."""
        headers = dict(request.headers)
        if request.person:
            if {"refreshAuth": []} in request.operation.get("security", []):
                headers.setdefault("Cookie", f"orderly_refresh={request.person.refresh_token}")
            else:
                headers.setdefault("Authorization", f"Bearer {request.person.access_token}")
        content = request.content
        if content is None and request.body is not None:
            is_file = isinstance(request.body, str)
            content = (request.body if is_file else json.dumps(request.body)).encode()
        if content is not None and request.media_type:
            headers["Content-Type"] = request.media_type
        answer = self._client.request(
            request.operation["method"].upper(),
            self._entrances[request.is_throttled]
            + request.operation["path"].format(**request.path),
            params=request.query,
            headers=headers,
            content=content,
        )
        self._client.cookies.clear()
        _judge(request, answer)
        if request.body == EXAMPLES["registration"] and answer.status_code < 300:
            self._is_registered = True
        self._coverage.met(REPLAYED, request.operation_id, str(answer.status_code))
        self._watch(request, answer)
        return answer

    def succeed(self, request: Request) -> httpx2.Response:
        """Send a request that must not be refused."""
        answer = self.send(request)
        assert answer.status_code < 400, f"{request.operation_id}: {answer.text}"
        return answer

    def ask(
        self, operation_id: str, *, media_type: str = "", example: str = "", bare: bool = False
    ) -> Request:
        """Return a request that succeeds, in a shop that has been made ready for it.

        A `bare` one has no more than it needs.
        """
        operation = OPERATIONS[operation_id]
        request = Request(operation_id, self._person_for(operation))
        for parameter in operation["parameters"]:
            if parameter["in"] == "path":
                request.path[parameter["name"]] = self._make(parameter["name"], request)
        bodies = operation.get("requestBody", {}).get("content", {})
        if bodies and not bare:
            request.media_type = media_type or next(iter(bodies))
            shown = bodies[request.media_type]["examples"]
            request.body = self._made_true(shown[example or next(iter(shown))]["value"], request)
        for key in (operation_id, f"{operation_id} {example}"):
            if key in self._arrangements:
                self._arrangements[key](self, request)
        return request

    def follow(self, link: Link, definition: Node, request: Request) -> Request:
        """Send a request and return the one that a link of its answer leads to."""
        answer = self.succeed(request)
        assert str(answer.status_code) == link.status
        onward = self.ask(definition["operationId"])
        if onward.person and request.person and "x-required-role" not in onward.operation:
            onward = replace(onward, person=request.person)
        places = {p["name"]: p["in"] for p in onward.operation["parameters"]}
        for name, expression in definition.get("parameters", {}).items():
            value = _value(expression, request, answer)
            assert value is not None, f"{link}: there is nothing at {expression}"
            target = {"path": onward.path, "query": onward.query, "header": onward.headers}
            target[places[name]][name] = value  # type: ignore[index]
        if "requestBody" in definition:
            onward.body = _value(definition["requestBody"], request, answer)
            onward.media_type = next(iter(onward.operation["requestBody"]["content"]))
        self._coverage.followed(REPLAYED, link)
        return onward

    def ada(self) -> Person:
        """Return Ada, signed in once more."""
        if not self._is_registered:
            self.succeed(self.plain("register", EXAMPLES["registration"]))
        return self.sign_in(EXAMPLES["credentials"])

    def admin(self) -> Person:
        """Return the administrator, signed in once more."""
        return self.sign_in(self._admin)

    def sign_in(self, credentials: Mapping[str, str]) -> Person:
        """Return whoever has these credentials."""
        told = self.succeed(self.plain("issue_token", credentials)).json()
        return Person(
            told["user"]["id"], told["session"]["id"], told["access_token"], told["refresh_token"]
        )

    def product(self, **more: Any) -> dict[str, Any]:
        """Return a new product of which there is plenty."""
        body = {**EXAMPLES["new_product"], "sku": uuid4().hex.upper(), "stock": PLENTY, **more}
        made: dict[str, Any] = self.succeed(
            replace(self.plain("create_product", body), person=self.admin())
        ).json()
        return made

    def order(self, person: Person) -> dict[str, Any]:
        """Return a new order."""
        body = {"items": [{"product_id": self.product()["id"], "quantity": 1}]}
        made: dict[str, Any] = self.succeed(
            replace(self.plain("create_order", body), person=person)
        ).json()
        return made

    def move(self, order_id: str, *statuses: str) -> None:
        """Take an order through its statuses."""
        for status in statuses:
            change = self.plain("update_order_status", {"status": status})
            self.succeed(replace(change, person=self.admin(), path={"order_id": order_id}))

    def plain(self, operation_id: str, body: Any = None) -> Request:
        """Return a request with nothing but this body."""
        media_type = "application/json" if body is not None else ""
        return Request(operation_id, body=body, media_type=media_type)

    def _person_for(self, operation: Node) -> Person | None:
        if operation.get("security", DOCUMENT["security"]) == []:
            return None
        return self.admin() if "x-required-role" in operation else self.ada()

    def _make(self, name: str, request: Request) -> str:
        person = request.person or self.ada()
        if name == "session_id":
            return self.ada().session_id
        if name == "user_id":
            return self.ada().user_id
        made: str = self.product()["id"] if name == "product_id" else self.order(person)["id"]
        return made

    def _made_true(self, value: Any, request: Request) -> Any:
        """Return an example with the ids and tokens of this shop."""
        if isinstance(value, list):
            return [self._made_true(one, request) for one in value]
        if not isinstance(value, dict):
            return value
        made = {key: self._made_true(one, request) for key, one in value.items()}
        if "product_id" in made:
            made["product_id"] = self.product()["id"]
        if "refresh_token" in made:
            made["refresh_token"] = self.ada().refresh_token
        if request.operation_id in {"login", "issue_token"}:
            self.ada()  # has registered
        return made


def _judge(request: Request, answer: httpx2.Response) -> None:
    """Fail where the contract does not know an answer."""
    response = request.operation["responses"].get(str(answer.status_code))
    told = f"{request.operation_id}: {answer.status_code} {answer.text[:500]}"
    assert response is not None, told
    for name, header in response.get("headers", {}).items():
        assert name in answer.headers or not header.get("required"), f"{told}: no {name}"
    for media_type, content in response.get("content", {}).items():
        assert media_type.split(";")[0] == answer.headers["Content-Type"].split(";")[0], told
        if media_type.endswith("json"):
            assert [] == CompiledSchema(content["schema"]).violations(answer.json()), told
    assert answer.content == b"" or response.get("content"), told


def _value(expression: Any, request: Request, answer: httpx2.Response) -> Any:
    """Return what a runtime expression stands for (OpenAPI 3.0, section 4.7.20.3)."""
    if isinstance(expression, dict):
        return {key: _value(one, request, answer) for key, one in expression.items()}
    if isinstance(expression, list):
        return [_value(one, request, answer) for one in expression]
    if not isinstance(expression, str) or not expression.startswith("$"):
        return expression
    source, _, pointer = expression.partition("#")
    named = source.rpartition(".")[2]
    if ".header." in source:
        return (answer.headers if source.startswith("$response") else request.headers)[named]
    if source.startswith("$request.path."):
        return request.path[named]
    value = {"$response.body": answer.json, "$request.body": lambda: request.body}[source]()
    for step in pointer.split("/")[1:]:
        value = value[int(step) if isinstance(value, list) else step]
    return value
