"""Compares the CPU time per request of four stacks: `python -m benchmarks.pipeline`.

All stacks have the same two handlers. Requests are passed to each ASGI application without a
socket: this measures routing, security, validation, argument binding and serialization. The stacks
alternate, so that changes of the machine's speed affect all of them; the median round is printed.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jwt
from starlette.types import ASGIApp

from benchmarks.measuring import Comparison, at_most, microseconds, options, report
from benchmarks.pipeline import handlers
from benchmarks.pipeline.stacks import STACKS
from services import access_tokens

REQUESTS_PER_ROUND = 1000
ORDERLY = "Orderly"


class Case(NamedTuple):
    """A stack and one of its endpoints."""

    stack: str
    endpoint: str


GOALS = {
    Case("FastAPI", "GET one"): 0.5,
    Case("FastAPI", "POST a body"): 0.7,
    Case("stock Connexion", "GET one"): 0.2,
    Case("stock Connexion", "POST a body"): 0.2,
}

BODY = json.dumps(
    {
        "items": [
            {"product_id": handlers.PRODUCT_ID, "quantity": 2},
            {"product_id": "0192f0c1-7e2a-7b31-8c55-5d0a1f4be222", "quantity": 1},
        ],
        "note": "Please ring twice.",
    }
).encode()
HEADERS = [
    (b"host", b"localhost:8000"),
    (b"user-agent", b"benchmark"),
    (b"accept", b"*/*"),
]

Request = tuple[dict[str, Any], bytes]


def get_product() -> Request:
    """Return a GET with a path parameter."""
    return _scope("GET", f"/api/v1/products/{handlers.PRODUCT_ID}", []), b""


def create_order() -> Request:
    """Return a POST with a body to validate and a session cookie to verify."""
    claims = {
        **handlers.CLAIMS,
        "sub": handlers.PRODUCT_ID,
        "sid": handlers.PRODUCT_ID,
        "role": "CLIENT",
        "jti": "x",
    }
    header = {"typ": "at+jwt", "kid": access_tokens.key_id(handlers.KEY)}
    token = jwt.encode(claims, handlers.KEY, algorithm="HS256", headers=header).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(BODY)),
        (b"cookie", b"orderly_access=" + token),
    ]
    return _scope("POST", "/api/v1/orders", headers), BODY


def _scope(method: str, path: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": HEADERS + headers,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }


ENDPOINTS: Mapping[str, Callable[[], Request]] = {
    "GET one": get_product,
    "POST a body": create_order,
}


async def _send_one(app: ASGIApp, request: Request) -> list[Any]:
    scope, body = request
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    # As a server does, use a new scope for each request.
    await app({**scope, "headers": list(scope["headers"])}, receive, send)
    return sent


def compare(rounds: int) -> list[Comparison]:
    """Compare Orderly with the other stacks."""
    logging.disable(logging.WARNING)  # stock Connexion logs every request
    try:
        found = asyncio.run(_measure(rounds))
    finally:
        logging.disable(logging.NOTSET)
    return [
        at_most(
            f"{endpoint}, CPU in process, compared with {name}",
            found[Case(ORDERLY, endpoint)],
            found[Case(name, endpoint)],
            GOALS.get(Case(name, endpoint)),
            microseconds,
        )
        for endpoint in ENDPOINTS
        for name in STACKS
        if name != ORDERLY
    ]


async def _measure(rounds: int) -> dict[Case, float]:
    """Return the median CPU time of a request in microseconds."""
    apps = {name: build() for name, build in STACKS.items()}
    requests = {
        Case(name, endpoint): make() for endpoint, make in ENDPOINTS.items() for name in apps
    }
    for case, request in requests.items():
        status = (await _send_one(apps[case.stack], request))[0]["status"]
        if status not in {200, 201}:
            raise RuntimeError(f"{case.stack} responds to {case.endpoint} with {status}")
    samples: dict[Case, list[float]] = {case: [] for case in requests}
    for number in range(rounds):
        for case in list(requests) if number % 2 else reversed(requests):
            gc.collect()
            began = time.process_time()
            for _ in range(REQUESTS_PER_ROUND):
                await _send_one(apps[case.stack], requests[case])
            samples[case].append((time.process_time() - began) / REQUESTS_PER_ROUND * 1e6)
    return {case: statistics.median(taken) for case, taken in samples.items()}


def main() -> None:
    """Measure and print."""
    given = options("python -m benchmarks.pipeline").parse_args()
    report(compare(max(given.rounds, 9)))


if __name__ == "__main__":
    main()
