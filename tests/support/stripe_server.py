"""A small fake of Stripe's HTTP interface: PaymentIntents, refunds, idempotency keys, events."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import stripe

SECRET_KEY = "sk_test_orderly"
WEBHOOK_SECRET = "whsec_orderly"

_INTENT = re.compile(r"/v1/payment_intents/(\w+)(/cancel)?")
_REFUND = re.compile(r"/v1/refunds/(\w+)")


@dataclass
class StripeServer:
    """What the fake keeps, and how it responds. `url` is where it listens."""

    url: str = ""
    intents: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Idempotency key -> parameters and response.
    responses: dict[str, tuple[dict[str, Any], int, dict[str, Any]]] = field(default_factory=dict)
    # With a status, every request gets it and has no effect.
    status: int | None = None
    # Whether connections are closed without a response.
    drops_connections: bool = False
    # Seconds until each response.
    delay: float = 0
    requests: int = 0
    versions: set[str] = field(default_factory=set)
    lock: Any = field(default_factory=threading.RLock)

    def set_status(self, reference: str, status: str, **fields: object) -> None:
        """Do what a customer, a bank or the dashboard does to a PaymentIntent."""
        with self.lock:
            self.intents[reference].update(status=status, **fields)

    def event(
        self, event_id: str, kind: str, content: dict[str, Any], *, age: int = 0
    ) -> tuple[bytes, dict[str, str]]:
        """Return the body and the headers of an event, signed with the helper of Stripe's library.

        `age` is the number of seconds since it was signed.
        """
        event = {
            "id": event_id,
            "object": "event",
            "api_version": "2026-10-28.endive",
            "type": kind,
            "data": {"object": content},
        }
        body = json.dumps(event).encode()
        return body, sign(body, age=age)

    def respond(self, method: str, path: str, parameters: dict[str, Any], key: str | None) -> Any:
        """Return the status and the body of a response."""
        with self.lock:
            if key is not None and key in self.responses:
                first, status, body = self.responses[key]
                if first != parameters:
                    return 400, _error("idempotency_error", "Keys can only be used with the same.")
                return status, body
            if (method, path) == ("GET", "/v1/payment_intents?limit=1"):
                return 200, {"object": "list", "data": [], "has_more": False, "url": path}
            status, body = self._handle(method, path, parameters)
            if key is not None:
                self.responses[key] = (parameters, status, json.loads(json.dumps(body)))
            return status, body

    def _handle(self, method: str, path: str, parameters: dict[str, Any]) -> Any:
        if (method, path) == ("POST", "/v1/payment_intents"):
            return 200, self._create_intent(parameters)
        if (method, path) == ("POST", "/v1/refunds"):
            return self._create_refund(parameters)
        if (match := _INTENT.fullmatch(path)) and match[1] in self.intents:
            intent = self.intents[match[1]]
            if match[2] and intent["status"] in {"succeeded", "processing", "canceled"}:
                return 400, _error(
                    "invalid_request_error", "Cannot cancel", "payment_intent_unexpected_state"
                )
            if match[2]:
                intent["status"] = "canceled"
            return 200, intent
        if (match := _REFUND.fullmatch(path)) and match[1] in self.refunds:
            return 200, self.refunds[match[1]]
        return 404, _error("invalid_request_error", "No such object", "resource_missing")

    def _create_intent(self, parameters: dict[str, Any]) -> dict[str, Any]:
        reference = f"pi_{len(self.intents) + 1}"
        self.intents[reference] = {
            "id": reference,
            "object": "payment_intent",
            "amount": int(parameters["amount"]),
            "currency": parameters["currency"],
            "status": "requires_payment_method",
            "client_secret": f"{reference}_secret_x",
            "metadata": _metadata(parameters),
            "last_payment_error": None,
        }
        return self.intents[reference]

    def _create_refund(self, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        intent = self.intents[parameters["payment_intent"]]
        refunded = sum(
            refund["amount"]
            for refund in self.refunds.values()
            if refund["payment_intent"] == intent["id"]
        )
        if intent["status"] != "succeeded":
            return 400, _error("invalid_request_error", "Not paid", "charge_not_captured")
        if refunded + int(parameters["amount"]) > intent["amount"]:
            return 400, _error("invalid_request_error", "Too much", "charge_already_refunded")
        reference = f"re_{len(self.refunds) + 1}"
        self.refunds[reference] = {
            "id": reference,
            "object": "refund",
            "amount": int(parameters["amount"]),
            "currency": intent["currency"],
            "payment_intent": intent["id"],
            "status": "succeeded",
            "metadata": _metadata(parameters),
        }
        return 200, self.refunds[reference]


def sign(body: bytes, *, age: int = 0) -> dict[str, str]:
    """Return the headers of an event that was signed `age` seconds ago."""
    signed_at = int(time.time()) - age
    signature = stripe.WebhookSignature._compute_signature(
        f"{signed_at}.{body.decode()}", WEBHOOK_SECRET
    )
    return {"stripe-signature": f"t={signed_at},v1={signature}"}


def stripe_settings(fake: StripeServer) -> dict[str, str]:
    """Return the environment variables of a shop that uses the fake."""
    return {
        "ORDERLY_STRIPE_SECRET_KEY": SECRET_KEY,
        "ORDERLY_STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "ORDERLY_STRIPE_URL": fake.url,
    }


@contextmanager
def run_stripe_server() -> Iterator[StripeServer]:
    """Run the fake for the duration of the block."""
    fake = StripeServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._respond("GET")

        def do_POST(self) -> None:
            self._respond("POST")

        def log_message(self, *_arguments: object) -> None:
            pass

        def _respond(self, method: str) -> None:
            fake.requests += 1
            fake.versions.add(self.headers["Stripe-Version"])
            length = int(self.headers.get("Content-Length") or 0)
            parameters = dict(parse_qsl(self.rfile.read(length).decode()))
            if fake.drops_connections:
                self.close_connection = True
                return
            time.sleep(fake.delay)
            if fake.status is not None:
                status, body = fake.status, _error("api_error", "planted")
            elif self.headers["Authorization"] != f"Bearer {SECRET_KEY}":
                status, body = 401, _error("invalid_request_error", "Invalid API key")
            else:
                key = self.headers["Idempotency-Key"] if method == "POST" else None
                status, body = fake.respond(method, self.path, parameters, key)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    # A client that gives up waiting closes the connection.
    server.handle_error = lambda *_arguments: None  # type: ignore[method-assign]
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _metadata(parameters: dict[str, Any]) -> dict[str, str]:
    return {
        match[1]: value
        for name, value in parameters.items()
        if (match := re.fullmatch(r"metadata\[(\w+)\]", name))
    }


def _error(kind: str, message: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"type": kind, "message": message, "code": code}}
