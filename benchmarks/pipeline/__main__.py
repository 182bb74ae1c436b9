"""Prints the CPU per request of four stacks: `python -m benchmarks.pipeline`.

All four are put around the same two handlers.

Requests go straight into each ASGI application, without a socket, so that what is measured is
routing, security, validation, binding and serialising. The stacks take turns, round by round, so
that a drift of the machine's speed meets them all; the median round is printed.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import jwt
from starlette.types import ASGIApp

from benchmarks.pipeline import handlers
from benchmarks.pipeline.stacks import STACKS
from services import access_tokens

ROUNDS = 9
REQUESTS_PER_ROUND = 1000
GOALS = {"FastAPI": 0.6, "stock Connexion": 0.25}

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


async def _send_one(app: ASGIApp, request: Request) -> list[Any]:
    scope, body = request
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    # Every server makes a new scope for each request; so does this one.
    await app({**scope, "headers": list(scope["headers"])}, receive, send)
    return sent


async def _measure() -> dict[str, dict[str, float]]:
    apps = {name: build() for name, build in STACKS.items()}
    endpoints: dict[str, Callable[[], Request]] = {"GET": get_product, "POST": create_order}
    samples: dict[tuple[str, str], list[float]] = {}
    for endpoint, make in endpoints.items():
        request = make()
        for name, app in apps.items():
            status = (await _send_one(app, request))[0]["status"]
            if status not in {200, 201}:
                raise RuntimeError(f"{name} answers {endpoint} with {status}")
    for _ in range(ROUNDS):
        for endpoint, make in endpoints.items():
            request = make()
            for name, app in apps.items():
                gc.collect()
                start = time.process_time()
                for _ in range(REQUESTS_PER_ROUND):
                    await _send_one(app, request)
                spent = (time.process_time() - start) / REQUESTS_PER_ROUND
                samples.setdefault((name, endpoint), []).append(spent * 1e6)
    return {
        name: {endpoint: statistics.median(samples[name, endpoint]) for endpoint in endpoints}
        for name in apps
    }


def main() -> None:
    """Measure and print."""
    logging.disable(logging.WARNING)  # stock Connexion logs each request that it judges
    medians = asyncio.run(_measure())
    packages = ("starlette", "fastapi", "connexion", "jsonschema-rs")
    print(f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}")
    print(", ".join(f"{name} {version(name)}" for name in packages))
    print(f"median of {ROUNDS} alternating rounds of {REQUESTS_PER_ROUND} requests\n")
    print(f"{'CPU per request':<18}{'GET one':>12}{'POST body':>12}{'Orderly is':>24}")
    ours = medians["Orderly"]
    for name, one in medians.items():
        ratios = "  ".join(f"{ours[endpoint] / one[endpoint]:.2f}x" for endpoint in one)
        goal = f"  (goal {GOALS[name]}x)" if name in GOALS else ""
        print(f"{name:<18}{one['GET']:>9.1f} us{one['POST']:>9.1f} us{ratios:>14}{goal}")


if __name__ == "__main__":
    main()
