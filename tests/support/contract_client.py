"""A client that sends the requests in the contract's examples, and creates what they need.

The examples are about Ada, who registers, signs in and buys a hand grinder. The client sends them
as written, except for ids and tokens, which the server generates.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from random import randint
from threading import Thread
from typing import Any, NamedTuple
from uuid import uuid4

import httpx2
import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from integrations.payments.sandbox import SandboxProvider
from tests.support.contract import DOCUMENT, Node
from tests.support.contract_coverage import Coverage, Link
from tests.support.contract_requests import (
    EXAMPLES,
    OPERATIONS,
    Request,
    UserSession,
    assert_documented,
    evaluate,
    json_request,
)

COVERAGE_SOURCE = "examples"
INITIAL_STOCK = 1000

Preparation = Callable[["ExampleClient", Request], None]
OnResponse = Callable[[Request, httpx2.Response], None]


class Servers(NamedTuple):
    """The base URLs of the API at two servers of the same shop."""

    unlimited: str
    # Returns 429 from the second attempt, and from the fifth request of a client, on; requires
    # verified addresses.
    rate_limited: str
    data_dir: Path  # of the first one
    database_url: str


class ExampleClient:
    """Sends requests, checks that the contract documents the responses, and counts coverage."""

    def __init__(
        self,
        servers: Servers,
        admin: tuple[str, str],
        *,
        coverage: Coverage,
        on_response: OnResponse,
        preparations: Mapping[str, Preparation],
    ) -> None:
        """Open an HTTP client.

        Args:
            servers: where requests are sent.
            admin: the administrator's email address and password.
            coverage: counts the responses and links.
            on_response: an additional check of each response.
            preparations: what an operation needs before it succeeds, by its operationId, or by its
                operationId and the name of an example: "update_order_status returned".
        """
        self._client = httpx2.Client(timeout=60)
        self._limited_client = _client_with_own_address()
        self._servers = servers
        self._admin = {"email": admin[0], "password": admin[1]}
        self._coverage = coverage
        self._on_response = on_response
        self._preparations = preparations
        self._ada_is_registered = False
        self._held = ExitStack()

    @property
    def sandbox(self) -> SandboxProvider:
        """The sandbox of the server."""
        return SandboxProvider(self._servers.data_dir)

    @property
    def admin_password(self) -> str:
        """The password of the administrator."""
        return self._admin["password"]

    def close(self) -> None:
        """Close the HTTP client, and roll back what was held."""
        self._client.close()
        self._limited_client.close()
        self._held.close()

    def hold(self, sql: str, *values: Any) -> Connection:
        """Run a statement in a transaction that stays open until it is committed, or the end."""
        connection = self._held.enter_context(closing(psycopg2.connect(self._servers.database_url)))
        connection.cursor().execute(sql, values)
        return connection

    def commit_when_awaited(self, connection: Connection) -> None:
        """Commit as soon as a request waits for a lock that the transaction holds."""
        thread = Thread(target=self._commit_when_awaited, args=[connection])
        thread.start()
        self._held.callback(thread.join)

    def _commit_when_awaited(self, connection: Connection) -> None:
        with closing(psycopg2.connect(self._servers.database_url)) as observing:
            observing.autocommit = True
            cursor = observing.cursor()
            is_awaited = False
            while not (is_awaited or self._client.is_closed):
                cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
                ((is_awaited,),) = cursor.fetchall()
        connection.commit()

    def send(self, request: Request) -> httpx2.Response:
        """Send a request, and check its response against the contract."""
        content = request.content
        if content is None and request.body is not None:
            is_text = isinstance(request.body, str)
            content = (request.body if is_text else json.dumps(request.body)).encode()
        headers = _with_credentials(request)
        if content is not None and request.media_type:
            headers["Content-Type"] = request.media_type
        client, server = self._client, self._servers.unlimited
        if request.rate_limited:
            client, server = self._limited_client, self._servers.rate_limited
        response = client.request(
            request.operation["method"].upper(),
            server + request.operation["path"].format(**request.path),
            params=request.query,
            headers=headers,
            content=content,
        )
        client.cookies.clear()  # the credentials come from the request alone
        assert_documented(request, response)
        if request.body == EXAMPLES["registration"] and response.is_success:
            self._ada_is_registered = True
        if request.operation_id in {"delete_me", "delete_user"} and response.is_success:
            self._ada_is_registered = False
        self._coverage.record_response(
            COVERAGE_SOURCE,
            request.operation_id,
            str(response.status_code),
            response.json()["code"] if response.is_error else None,
        )
        self._on_response(request, response)
        return response

    def send_successfully(self, request: Request) -> httpx2.Response:
        """Send a request, and fail if the response is an error."""
        response = self.send(request)
        assert not response.is_error, f"{request.operation_id}: {response.text}"
        return response

    def prepare(
        self,
        operation_id: str,
        *,
        media_type: str = "",
        example: str = "",
        without_body: bool = False,
    ) -> Request:
        """Return a request that succeeds, after creating what it needs in the shop.

        Args:
            operation_id: the operation.
            media_type: the media type of the body; without it, the first one.
            example: the name of the body's example; without it, the first one.
            without_body: leave out the body, for operations whose body is optional.
        """
        operation = OPERATIONS[operation_id]
        request = Request(operation_id, self._session_for(operation))
        for parameter in operation["parameters"]:
            if parameter["in"] == "path":
                request.path[parameter["name"]] = self._path_value(parameter["name"], request)
        content = operation.get("requestBody", {}).get("content", {})
        if content and not without_body:
            request.media_type = media_type or next(iter(content))
            examples = content[request.media_type]["examples"]
            value = examples[example or next(iter(examples))]["value"]
            request.body = self._with_real_ids(value)
        for key in (operation_id, f"{operation_id} {example}"):
            if key in self._preparations:
                self._preparations[key](self, request)
        return request

    def follow_link(self, link: Link, link_object: Node, request: Request) -> Request:
        """Send a request, and return the request that a link of its response describes."""
        response = self.send_successfully(request)
        assert str(response.status_code) == link.status
        following = self.prepare(link_object["operationId"])
        # Keep the user, who may access what the first request created. An operation with a required
        # role keeps the administrator.
        if following.session and request.session and "x-required-role" not in following.operation:
            following = replace(following, session=request.session)
        locations = {p["name"]: p["in"] for p in following.operation["parameters"]}
        values = {"path": following.path, "query": following.query, "header": following.headers}
        for name, expression in link_object.get("parameters", {}).items():
            value = evaluate(expression, request, response)
            assert value is not None, f"{link}: {expression} is null"
            values[locations[name]][name] = value
        if "requestBody" in link_object:
            following.body = evaluate(link_object["requestBody"], request, response)
            following.media_type = next(iter(following.operation["requestBody"]["content"]))
        self._coverage.record_link(COVERAGE_SOURCE, link)
        return following

    def sign_in_ada(self) -> UserSession:
        """Open a new session for Ada; register her before the first one."""
        if not self._ada_is_registered:
            self.send_successfully(json_request("register", EXAMPLES["registration"]))
        return self.sign_in(EXAMPLES["credentials"])

    def sign_in_admin(self) -> UserSession:
        """Open a new session for the administrator."""
        return self.sign_in(self._admin)

    def sign_in(self, credentials: Mapping[str, str]) -> UserSession:
        """Open a new session for a user."""
        tokens = self.send_successfully(json_request("issue_token", credentials)).json()
        return UserSession(
            tokens["user"]["id"],
            tokens["session"]["id"],
            tokens["access_token"],
            tokens["refresh_token"],
        )

    def create_product(self, **fields: Any) -> dict[str, Any]:
        """Create a product with enough stock for any test."""
        body = {**EXAMPLES["new_product"], "sku": uuid4().hex.upper(), "stock": INITIAL_STOCK}
        request = json_request("create_product", {**body, **fields})
        request.session = self.sign_in_admin()
        product: dict[str, Any] = self.send_successfully(request).json()
        return product

    def create_order(self, session: UserSession) -> dict[str, Any]:
        """Create an order of one new product."""
        line = {"product_id": self.create_product()["id"], "quantity": 1}
        request = json_request("create_order", {"items": [line]})
        request.session = session
        order: dict[str, Any] = self.send_successfully(request).json()
        return order

    def create_payment(self, session: UserSession, provider: str = "manual") -> dict[str, Any]:
        """Create an order, and a payment of it that waits for money."""
        request = json_request("create_payment", {"provider": provider})
        request.session = session
        request.path = {"order_id": self.create_order(session)["id"]}
        payment: dict[str, Any] = self.send_successfully(request).json()
        return payment

    def record_manual_payment(self, order_id: str) -> None:
        """Pay an order in full."""
        read = json_request("get_order")
        read.session = self.sign_in_admin()
        read.path = {"order_id": order_id}
        total = self.send_successfully(read).json()["total"]
        request = json_request("record_manual_payment", {"amount": total, "method": "CASH"})
        request.session, request.path = read.session, read.path
        self.send_successfully(request)

    def update_order_status(self, order_id: str, *statuses: str) -> None:
        """Move an order through one status after the other."""
        for status in statuses:
            request = json_request("update_order_status", {"status": status})
            request.session = self.sign_in_admin()
            request.path = {"order_id": order_id}
            self.send_successfully(request)

    def _session_for(self, operation: Node) -> UserSession | None:
        if operation.get("security", DOCUMENT["security"]) == []:
            return None
        return self.sign_in_admin() if "x-required-role" in operation else self.sign_in_ada()

    def _path_value(self, name: str, request: Request) -> str:
        """Return the id of something new, for a path parameter."""
        if name == "session_id":
            return self.sign_in_ada().session_id
        if name == "user_id":
            return self.sign_in_ada().user_id
        if name == "provider":
            return "sandbox"
        session = request.session or self.sign_in_ada()
        if name == "product_id":
            created = self.create_product()
        elif name == "payment_id":
            created = self.create_payment(session)
        else:
            created = self.create_order(session)
        created_id: str = created["id"]
        return created_id

    def _with_real_ids(self, value: Any) -> Any:
        """Replace the product ids and refresh tokens of an example with valid ones."""
        if isinstance(value, list):
            return [self._with_real_ids(item) for item in value]
        if not isinstance(value, dict):
            return value
        replaced = {key: self._with_real_ids(member) for key, member in value.items()}
        if "product_id" in replaced:
            replaced["product_id"] = self.create_product()["id"]
        if "refresh_token" in replaced:
            replaced["refresh_token"] = self.sign_in_ada().refresh_token
        return replaced


def _client_with_own_address() -> httpx2.Client:
    """Return a client whose requests count against the limits of no other client.

    Linux accepts any address in 127.0.0.0/8 as the source. Prism does not forward the address.
    """
    address = f"127.{randint(1, 254)}.{randint(0, 255)}.{randint(1, 254)}"
    transport = httpx2.HTTPTransport(local_address=address)
    return httpx2.Client(timeout=60, transport=transport, headers={"X-Forwarded-For": address})


def _with_credentials(request: Request) -> dict[str, str]:
    headers = dict(request.headers)
    if request.session:
        if {"bearerAuth": []} in request.operation.get("security", DOCUMENT["security"]):
            headers.setdefault("Authorization", f"Bearer {request.session.access_token}")
        else:
            headers.setdefault("Cookie", f"orderly_refresh={request.session.refresh_token}")
    return headers
