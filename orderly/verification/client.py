"""A client that sends the requests in the contract's examples, and creates what they need.

The examples are about Ada, who registers, signs in and buys a hand grinder. The client sends them
as written, except for values that the server generates (ids and tokens), and values that must be
unique (emails and SKUs).
"""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from threading import Event
from typing import Any, NamedTuple
from uuid import uuid4

import httpx2

from domain.account_tokens import EMAIL_CHANGE, EMAIL_VERIFICATION, PASSWORD_RESET
from integrations.payments import sandbox_events
from orderly.verification.accounts import THROW_AWAY_DOMAIN
from orderly.verification.contract import Contract, Link, Node
from orderly.verification.coverage import Coverage
from orderly.verification.flood import Flood
from orderly.verification.requests import (
    NotReachable,
    Request,
    UserSession,
    Violation,
    assert_documented,
    cookie_name,
    evaluate,
    json_request,
)

COVERAGE_SOURCE = "examples"
INITIAL_STOCK = 1000

Preparation = Callable[["ExampleClient", Request], None]
OnResponse = Callable[[Request, httpx2.Response], None]

_MAIL_SECONDS = 60.0
# The worker sends mails every five seconds, and reading the mailbox costs the server much time.
_MAIL_PAUSE_SECONDS = 1.5
_MAX_WAIT_SECONDS = 90
_RACES = 20
_CONCURRENT_REQUESTS = 8
# Less than the lifetime of an access token, which is 10 minutes by default.
_SESSION_SECONDS = 45.0
# How many requests, and for how long, are sent to reach the limit of requests.
_MAX_ATTEMPTS = 50
_MAX_FLOOD_SECONDS = 60.0
_IMPORTED_ROWS = 2_000
# After these, other checks might not find Ada as they expect her.
_CHANGING_ADA = {
    *("change_password", "confirm_password_reset", "confirm_email_verification", "change_email"),
    *("update_me", "update_user", "delete_me", "delete_user", "create_order"),
}
# The part of the links in mails before the token.
_FRAGMENTS = {
    PASSWORD_RESET: "reset-password",
    EMAIL_VERIFICATION: "verify-email",
    EMAIL_CHANGE: "verify-email",
}


class Servers(NamedTuple):
    """The base URLs of the API at the servers of a shop."""

    url: str
    # A second server that returns 429 from the second attempt on, requires verified addresses, and
    # keeps no mails. None: statuses that depend on these settings cannot be reached.
    strict_url: str | None = None
    # The key that signs the notifications of the payment sandbox. None: none can be signed.
    sandbox_secret: bytes | None = None


class ExampleClient:
    """Sends requests, checks that the contract documents the responses, and counts coverage."""

    # Whether the deployment takes payments by Stripe, whose notifications this client cannot sign.
    has_stripe = False
    # The stock of the products that it creates.
    initial_stock = INITIAL_STOCK

    def __init__(
        self,
        contract: Contract,
        servers: Servers,
        admin: tuple[str, str],
        *,
        coverage: Coverage,
        preparations: Mapping[str, Preparation],
        on_response: OnResponse = lambda _request, _response: None,
    ) -> None:
        """Open an HTTP client.

        Args:
            contract: the contract that the responses must match.
            servers: where requests are sent.
            admin: the administrator's email address and password.
            coverage: counts the responses and links.
            preparations: what an operation needs before it succeeds, by its operationId, or by its
                operationId and the name of an example: "update_order_status returned".
            on_response: an additional check of each response.
        """
        self.contract = contract
        # The credentials come from the request alone: store no cookies.
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self._client = httpx2.Client(timeout=60, cookies=no_cookies)
        self._servers = servers
        self._admin = {"email": admin[0], "password": admin[1]}
        self._coverage = coverage
        self._on_response = on_response
        self._preparations = preparations
        self._ada_is_registered = False
        # Whether a request may have given Ada orders, another password or another role.
        self._ada_has_changed = False
        self._admin_session: tuple[float, UserSession] | None = None
        # Administrators who are customers until the check ends.
        self._demoted: list[str] = []
        # Addresses to which a mail was sent at the registration, and tokens of mails.
        self._verified_emails: set[str] = set()
        self._used_tokens: set[str] = set()
        # Sent since the last check began, for the report.
        self.sent: list[tuple[Request, int]] = []
        # Makes emails unique: those of the examples may belong to users of the shop.
        self._suffix = uuid4().hex[:12]

    @property
    def admin_password(self) -> str:
        """The password of the administrator."""
        return self._admin["password"]

    @property
    def has_strict_server(self) -> bool:
        """Whether there is a second server, with other settings."""
        return self._servers.strict_url is not None

    @property
    def examples(self) -> Mapping[str, Any]:
        """The value of each example of the contract, by its name, with unique emails."""
        return {
            name: self._with_unique_emails(value) for name, value in self.contract.examples.items()
        }

    def money(self, amount: int) -> dict[str, Any]:
        """Return an amount, in minor units of the shop's currency."""
        currency = self.contract.document["components"]["schemas"]["Currency"]["enum"][0]
        return {"amount": amount, "currency": currency}

    def close(self) -> None:
        """Close the HTTP client."""
        self._client.close()

    def begin_check(self) -> None:
        """Use another Ada if the last check has changed her."""
        self.restore_administrators()
        self.sent = []
        if self._ada_has_changed:
            self.forget_ada()

    def restore_administrators(self) -> None:
        """Give back the role to administrators of the shop who have lost it for a check."""
        while self._demoted:
            self._change_role(self._demoted.pop(), "ADMIN")

    def request(self, operation_id: str, body: Any = None) -> Request:
        """Return a request with a JSON body and nothing else."""
        return json_request(self.contract, operation_id, body)

    def send(self, request: Request) -> httpx2.Response:
        """Send a request, check its response against the contract, and count it.

        Waits and repeats the request if a rate limit refuses it, unless the check expects that.
        """
        response = self._send(request)
        while response.status_code == HTTPStatus.TOO_MANY_REQUESTS and not request.may_be_limited:
            seconds = int(response.headers.get("Retry-After", "1"))
            if seconds > _MAX_WAIT_SECONDS:
                raise NotReachable(f"A rate limit allows the next attempt only in {seconds} s.")
            time.sleep(seconds)
            response = self._send(request)
        self._record(request, response)
        return response

    def race(self, requests: Sequence[Request]) -> list[httpx2.Response]:
        """Send requests at the same time; check and count their responses."""
        with ThreadPoolExecutor(len(requests)) as threads:
            responses = list(threads.map(self._send, requests))
        for request, response in zip(requests, responses, strict=True):
            self._record(request, response)
        return responses

    def race_until(
        self, code: str, requests: Callable[[], Sequence[Request]], rounds: int = _RACES
    ) -> httpx2.Response:
        """Repeat a race until a response has this code, and return that response.

        Raises:
            NotReachable: no response has, since the server was too fast.
        """
        for _ in range(rounds):
            for response in self.race(requests()):
                if response.is_error and response.json()["code"] == code:
                    return response
        raise NotReachable(
            f"It needs requests that meet within a few milliseconds. {rounds} races did not."
        )

    def _send(self, request: Request) -> httpx2.Response:
        content, headers = request.encoded(), headers_of(request)
        if content is not None and request.media_type:
            headers["Content-Type"] = request.media_type
        url = self._servers.strict_url if request.to_strict_server else self._servers.url
        if url is None:
            raise NotReachable("It needs a deployment with other settings.")
        return self.http_client(request).request(
            request.operation["method"].upper(),
            url + request.operation["path"].format(**request.path),
            params=request.query,
            headers=headers,
            content=content,
        )

    def http_client(self, _request: Request) -> httpx2.Client:
        """Return the client that sends a request."""
        return self._client

    def _record(self, request: Request, response: httpx2.Response) -> None:
        self.sent.append((replace(request), response.status_code))
        if response.is_success:
            self._observe(request)
        self._coverage.record_response(
            COVERAGE_SOURCE, request.operation_id, str(response.status_code), _code_of(response)
        )
        assert_documented(request, response)
        self._on_response(request, response)

    def _observe(self, request: Request) -> None:
        """Remember whether Ada is registered."""
        if request.operation_id == "register" and request.body == self.examples["registration"]:
            self._ada_is_registered = True
        if request.operation_id in {"delete_me", "delete_user"}:
            self._ada_is_registered = False
        if request.operation_id in _CHANGING_ADA:
            self._ada_has_changed = True

    def send_successfully(self, request: Request) -> httpx2.Response:
        """Send a request.

        Raises:
            Violation: the response is an error.
        """
        response = self.send(request)
        if response.is_error:
            raise Violation(f"{request.operation_id}: {response.status_code} {response.text}")
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
        operation = self.contract.operations[operation_id]
        if operation_id == "register":
            self.forget_ada()  # an address can be registered once
        request = Request(self.contract, operation_id, self._session_for(operation))
        for parameter in operation["parameters"]:
            if parameter["in"] == "path":
                request.path[parameter["name"]] = self._path_value(parameter["name"], request)
        content = operation.get("requestBody", {}).get("content", {})
        if content and not without_body:
            request.media_type = media_type or next(iter(content))
            examples = content[request.media_type]["examples"]
            value = examples[example or next(iter(examples))]["value"]
            request.body = self._with_real_values(value)
        for key in (operation_id, f"{operation_id} {example}"):
            if key in self._preparations:
                self._preparations[key](self, request)
        return request

    def follow_link(self, link: Link, link_object: Node, request: Request) -> Request:
        """Send a request, and return the request that a link of its response describes."""
        response = self.send_successfully(request)
        if str(response.status_code) != link.status:
            raise Violation(f"{link}: the status is {response.status_code}")
        following = self.prepare(link_object["operationId"])
        # Keep the user, who may access what the first request created. An operation with a required
        # role keeps the administrator.
        if following.session and request.session and "x-required-role" not in following.operation:
            following = replace(following, session=request.session)
        locations = {p["name"]: p["in"] for p in following.operation["parameters"]}
        values = {"path": following.path, "query": following.query, "header": following.headers}
        for name, expression in link_object.get("parameters", {}).items():
            value = evaluate(expression, request, response)
            if value is None:
                raise Violation(f"{link}: {expression} is null")
            values[locations[name]][name] = value
        if "requestBody" in link_object:
            following.body = evaluate(link_object["requestBody"], request, response)
            following.media_type = next(iter(following.operation["requestBody"]["content"]))
        self._coverage.record_link(COVERAGE_SOURCE, link)
        return following

    def sign_in_ada(self) -> UserSession:
        """Open a new session for Ada; register her before the first one."""
        if not self._ada_is_registered:
            self.send_successfully(self.request("register", self.examples["registration"]))
        return self.sign_in(self.examples["credentials"])

    def sign_in_another(self) -> UserSession:
        """Open a session for another customer."""
        registration = self.examples["registration"]
        email = f"other-{uuid4().hex[:12]}@{THROW_AWAY_DOMAIN}"
        another = {**registration, "email": email}
        self.send_successfully(self.request("register", another))
        return self.sign_in({"email": email, "password": registration["password"]})

    def sign_in_admin(self) -> UserSession:
        """Return a session of the administrator, a new one every few minutes."""
        opened_at, session = self._admin_session or (0.0, None)
        now = time.monotonic()
        if session is None or now - opened_at > _SESSION_SECONDS:
            session = self.sign_in(self._admin)
            self._admin_session = now, session
        return session

    def sign_in(self, credentials: Mapping[str, str]) -> UserSession:
        """Open a new session for a user."""
        tokens = self.send_successfully(self.request("issue_token", credentials)).json()
        return UserSession(
            tokens["user"]["id"],
            tokens["session"]["id"],
            tokens["access_token"],
            tokens["refresh_token"],
        )

    def create_product(self, **fields: Any) -> dict[str, Any]:
        """Create a product with enough stock for any check."""
        body = {**self.examples["new_product"], "sku": _new_sku(), "stock": INITIAL_STOCK}
        request = self.request("create_product", {**body, **fields})
        request.session = self.sign_in_admin()
        product: dict[str, Any] = self.send_successfully(request).json()
        return product

    def create_order(self, session: UserSession) -> dict[str, Any]:
        """Create an order of one new product."""
        line = {"product_id": self.create_product()["id"], "quantity": 1}
        request = self.request("create_order", {"items": [line]})
        request.session = session
        order: dict[str, Any] = self.send_successfully(request).json()
        return order

    def create_payment(self, session: UserSession, provider: str = "manual") -> dict[str, Any]:
        """Create an order, and a payment of it that waits for money."""
        request = self.request("create_payment", {"provider": provider})
        request.session = session
        request.path = {"order_id": self.create_order(session)["id"]}
        payment: dict[str, Any] = self.send_successfully(request).json()
        return payment

    def record_manual_payment(self, order_id: str) -> None:
        """Pay an order in full."""
        read = self.request("get_order")
        read.session = self.sign_in_admin()
        read.path = {"order_id": order_id}
        total = self.send_successfully(read).json()["total"]
        request = self.request("record_manual_payment", {"amount": total, "method": "CASH"})
        request.session, request.path = read.session, read.path
        self.send_successfully(request)

    def update_order_status(self, order_id: str, *statuses: str) -> None:
        """Move an order through one status after the other."""
        for status in statuses:
            request = self.request("update_order_status", {"status": status})
            request.session = self.sign_in_admin()
            request.path = {"order_id": order_id}
            self.send_successfully(request)

    def mail_token(self, kind: str, email: str) -> str:
        """Return the token in a new mail to Ada, which the deployment keeps in its sandbox.

        Raises:
            NotReachable: the deployment sends its mails.
        """
        self.request_mail(kind, email)
        return self.wait_for_mail_token(kind, email)

    def request_mail(self, kind: str, email: str) -> None:
        """Let the deployment send a mail with a token to Ada."""
        session = self.sign_in_ada()
        if kind == PASSWORD_RESET:
            cause = self.request("request_password_reset", {"email": email})
        elif kind == EMAIL_CHANGE:
            password = self.examples["registration"]["password"]
            body = {"email": email, "current_password": password}
            cause = self.request("change_email", body)
            cause.session = session
        elif email in self._verified_emails:
            cause = self.request("request_email_verification")
            cause.session = session
        else:
            self._verified_emails.add(email)
            return  # the registration has sent one, which a new one would invalidate
        self.send_successfully(cause)

    def wait_for_mail_token(self, kind: str, email: str) -> str:
        """Return the token in the newest mail of this kind to an address, once it has arrived."""
        pattern = re.compile(rf"#{_FRAGMENTS[kind]}=([\w-]{{20,}})", re.ASCII)
        request = self.request("list_sandbox_mail")
        request.query = {"to": email}
        end = time.monotonic() + _MAIL_SECONDS
        while time.monotonic() < end:
            response = self.send(request)
            if response.status_code == HTTPStatus.NOT_FOUND:
                raise NotReachable("The deployment keeps no mails: ORDERLY_SANDBOX_MAIL is false.")
            for mail in response.json()["items"]:
                found = pattern.search(mail["text"])
                if found and found[1] not in self._used_tokens:
                    self._used_tokens.add(found[1])
                    return found[1]
            time.sleep(_MAIL_PAUSE_SECONDS)
        raise NotReachable(f"No mail with a token arrived within {_MAIL_SECONDS:.0f} s.")

    def notification_headers(self, content: bytes) -> dict[str, str]:
        """Return the headers of a payment notification with the signature of its provider."""
        if self._servers.sandbox_secret is None:
            raise NotReachable("The key of the payment sandbox is unknown: see --sandbox-secret.")
        return sandbox_events.sign(self._servers.sandbox_secret, content)

    def add_payment_notifications(self) -> None:
        """Let the sandbox send two notifications."""
        session = self.sign_in_ada()
        for _ in range(2):
            payment = self.create_payment(session, "sandbox")
            request = self.request("settle_sandbox_payment", {"outcome": "DECLINE"})
            request.session, request.path = session, {"payment_id": payment["id"]}
            self.send_successfully(request)

    def disable_user_of(self, request: Request) -> httpx2.Response | None:
        """Disable the user of a request; return the response if the request was sent already.

        The end of the session must not be noticed before the request is authenticated. Over HTTP,
        some of many requests that are sent during the change meet this moment.
        """
        for _ in range(_RACES):
            fresh = self.prepare(request.operation_id)
            if "x-required-role" in fresh.operation:
                # Never disable the administrator of the run.
                fresh.session = self.promote_ada()
            if fresh.session is None:
                raise NotReachable("The operation needs no session.")
            if isinstance(fresh.body, dict) and "current_password" in fresh.body:
                # With the right one, the first request would already end the session.
                fresh.body["current_password"] = str(uuid4())
            disable = self.request("update_user", {"active": False})
            disable.session = self.sign_in_admin()
            disable.path = {"user_id": fresh.session.user_id}
            self.forget_ada()
            for response in self._send_during(disable, fresh):
                if response.is_error and response.json()["code"] == "session_expired":
                    return response
        raise NotReachable(
            "It needs a request that is authenticated in the milliseconds before the session ends:"
            f" {_RACES} attempts did not meet them."
        )

    def _send_during(self, change: Request, repeated: Request) -> list[httpx2.Response]:
        """Send a request repeatedly and concurrently while another one is processed."""
        changed = Event()

        def repeat() -> list[httpx2.Response]:
            responses = []
            while not changed.is_set():
                responses.append(self._send(repeated))
            return responses

        with ThreadPoolExecutor(_CONCURRENT_REQUESTS) as threads:
            running = [threads.submit(repeat) for _ in range(_CONCURRENT_REQUESTS)]
            try:
                self._record(change, self._send(change))
            finally:
                changed.set()
        found = [response for one in running for response in one.result()]
        for response in found:
            self._record(repeated, response)
        return found

    def promote_ada(self) -> UserSession:
        """Make Ada an administrator; return a new session of her."""
        self._change_role(self.sign_in_ada().user_id, "ADMIN")
        return self.sign_in_ada()

    def hold_idempotency_key(self, request: Request) -> httpx2.Response | None:
        """Use the key of a request in another one; return the response if it was sent already."""

        def requests() -> list[Request]:
            fresh = self.prepare(request.operation_id)
            racing = [replace(fresh) for _ in range(8)]
            key = str(uuid4())
            for one in racing:
                one.headers = {**fresh.headers, "Idempotency-Key": key}
                if "sku" in fresh.body:
                    # With the same SKU, its uniqueness would decide the race, not the key.
                    one.body = {**fresh.body, "sku": _new_sku()}
            return racing

        # Most operations wait for a lock instead, and then repeat the first response.
        return self.race_until("idempotency_in_flight", requests, rounds=5)

    def create_product_during(self, request: Request) -> httpx2.Response | None:
        """Import a large file, and create its products at the same time, one after the other."""
        for _ in range(_RACES):
            skus = [_new_sku() for _ in range(_IMPORTED_ROWS)]
            lines = ["sku,name,price,stock", *(f"{sku},Raced,100,1" for sku in skus)]
            imported = replace(request, body="\r\n".join([*lines, ""]))
            with ThreadPoolExecutor(1) as thread:
                response = thread.submit(self._send, imported)
                for sku in skus:
                    if response.done():
                        break
                    self.create_product(sku=sku, stock=0)
            self._record(imported, response.result())
            if response.result().is_error:
                return response.result()
        raise NotReachable(f"The server was faster than {_RACES} attempts to disturb an import.")

    def reach_request_limit(self, request: Request) -> httpx2.Response:
        """Send many requests, and then this one, until it is refused; return that response.

        Raises:
            NotReachable: the limit of the deployment is too high.
        """
        request.may_be_limited = True
        # The path is unknown, so that these requests cost the server little.
        with Flood(f"{self._servers.url}/flood") as flood:
            if not flood.wait_until_limited(_MAX_FLOOD_SECONDS):
                raise NotReachable(
                    f"The deployment did not limit all requests of {_MAX_FLOOD_SECONDS:.0f} s."
                )
            for _ in range(_MAX_ATTEMPTS):
                response = self.send(request)
                if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                    return response
        raise NotReachable(f"None of {_MAX_ATTEMPTS} requests of many was refused.")

    def become_only_administrator(self) -> None:
        """Make all other administrators customers until the check ends."""
        request = self.request("list_users")
        request.session = self.sign_in_admin()
        request.query = {"role": "ADMIN", "active": "true", "limit": 100}
        for user in self.send_successfully(request).json()["items"]:
            if user["id"] != request.session.user_id:
                self._change_role(user["id"], "CLIENT")
                if not user["email"].endswith(f"@{THROW_AWAY_DOMAIN}"):
                    self._demoted.append(user["id"])

    def _change_role(self, user_id: str, role: str) -> None:
        change = self.request("update_user", {"role": role})
        change.session, change.path = self.sign_in_admin(), {"user_id": user_id}
        self.send_successfully(change)

    def require_verified_emails(self) -> None:
        """Check that there is a server that requires verified emails.

        Raises:
            NotReachable: there is none.
        """
        if not self.has_strict_server:
            raise NotReachable(
                "The deployment requires no verified emails:"
                " ORDERLY_VERIFIED_EMAIL_REQUIRED is false."
            )

    def forget_ada(self) -> None:
        """Use another Ada from now on."""
        self._ada_is_registered = self._ada_has_changed = False
        self._suffix = uuid4().hex[:12]

    def _session_for(self, operation: Node) -> UserSession | None:
        if self.contract.security_of(operation) == []:
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

    def _with_real_values(self, value: Any) -> Any:
        """Replace the product ids, refresh tokens, emails and SKUs of an example."""
        if isinstance(value, list):
            return [self._with_real_values(item) for item in value]
        if isinstance(value, str) and value.startswith("sku,"):
            return _with_new_skus(value)
        if not isinstance(value, dict):
            return value
        replaced = {key: self._with_real_values(member) for key, member in value.items()}
        if "product_id" in replaced:
            replaced["product_id"] = self.create_product()["id"]
        if "refresh_token" in replaced:
            replaced["refresh_token"] = self.sign_in_ada().refresh_token
        if "sku" in replaced:
            replaced["sku"] = _new_sku()
        return self._with_unique_emails(replaced)

    def _with_unique_emails(self, value: Any) -> Any:
        if not (isinstance(value, dict) and "email" in value):
            return value
        name = str(value["email"]).partition("@")[0]
        return {**value, "email": f"{name}-{self._suffix}@{THROW_AWAY_DOMAIN}"}


def _new_sku() -> str:
    return uuid4().hex.upper()


def _with_new_skus(file: str) -> str:
    """Return a CSV file with other SKUs in its first column."""
    header, *rows = csv.reader(io.StringIO(file, newline=""))
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *([_new_sku(), *row[1:]] for row in rows)])
    return text.getvalue()


def _code_of(response: httpx2.Response) -> str | None:
    """Return the code of a problem document."""
    is_problem = "problem+json" in response.headers.get("Content-Type", "")
    return str(response.json().get("code")) if response.is_error and is_problem else None


def headers_of(request: Request) -> dict[str, str]:
    """Return the headers of a request, with its credentials."""
    headers = dict(request.headers)
    if request.session:
        if {"bearerAuth": []} in request.contract.security_of(request.operation):
            headers.setdefault("Authorization", f"Bearer {request.session.access_token}")
        else:
            name = cookie_name(request.contract, "refreshAuth")
            headers.setdefault("Cookie", f"{name}={request.session.refresh_token}")
    return headers
