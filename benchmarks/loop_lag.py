"""Measures for how long single requests hold the event loop: `python -m benchmarks.loop_lag`.

Runs the application and a timer in one event loop. The timer is due every millisecond: how late it
is, is the time for which something else held the loop. Prints the worst case for each request.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import psycopg2
import uvloop
from starlette.types import ASGIApp

from benchmarks.measuring import environment_description
from benchmarks.servers import Ground, ground
from orderly.factory import create_app

MAX_SECONDS = 0.02
ROUNDS = 5
LINES = 100
ORDERS = 100
_TICK_SECONDS = 0.001

Request = tuple[str, str, bytes]


def main() -> None:
    """Measure, and print the worst lag of each request."""
    with ground() as on:
        _fill_orders(on.url)
        worst = uvloop.run(_measure(on))
    print(environment_description())
    for name, seconds in worst.items():
        missed = " MISSED" if seconds > MAX_SECONDS else ""
        print(f"{name:48} {seconds * 1000:6.1f} ms{missed}")
    sys.exit(max(worst.values()) > MAX_SECONDS)


def _requests(on: Ground) -> Iterator[tuple[str, Request]]:
    products = on.stock.products.read_text().split()[:LINES]
    items = [{"product_id": one, "quantity": 1} for one in products]
    order = json.dumps({"items": items, "note": "\N{SNOWMAN}" * 1000}).encode()
    yield "nothing", ("GET", "/health/live", b"")
    yield f"place an order of {LINES} lines", ("POST", "/api/v1/orders", order)
    yield f"{ORDERS} orders of {LINES} lines", ("GET", "/api/v1/orders?limit=100", b"")
    yield "100 products", ("GET", "/api/v1/products?limit=100", b"")
    yield "a search", ("GET", "/api/v1/products?limit=100&q=product", b"")


async def _measure(on: Ground) -> Mapping[str, float]:
    app = create_app(replace(on.settings, log_level="error"))
    token = on.stock.tokens.read_text().split()[0]
    lifespan = _Lifespan(app)
    await lifespan.start()
    try:
        worst: dict[str, float] = {}
        gc.collect()
        gc.freeze()  # as the server does
        for name, request in _requests(on):
            await _send(app, token, request)  # prepares statements
            worst[name] = sorted([await _lag_during(app, token, request) for _ in range(ROUNDS)])[
                ROUNDS // 2
            ]
        return worst
    finally:
        await lifespan.stop()


async def _lag_during(app: ASGIApp, token: str, request: Request) -> float:
    """Return the longest time for which the event loop was held while a request was processed."""
    worst = 0.0
    is_done = False

    async def watch() -> None:
        nonlocal worst
        while not is_done:
            began = time.perf_counter()
            await asyncio.sleep(_TICK_SECONDS)
            worst = max(worst, time.perf_counter() - began - _TICK_SECONDS)

    watching = asyncio.ensure_future(watch())
    await asyncio.sleep(_TICK_SECONDS)
    await _send(app, token, request)
    is_done = True
    await watching
    return worst


async def _send(app: ASGIApp, token: str, request: Request) -> None:
    method, url, body = request
    path, _, query = url.partition("?")
    headers = [(b"host", b"shop"), (b"authorization", f"Bearer {token}".encode())]
    if body:
        headers.append((b"content-type", b"application/json"))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "http",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    statuses = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        statuses.append(message.get("status"))

    await app(scope, receive, send)
    assert statuses[0] in {200, 201}, statuses


class _Lifespan:
    """Starts and stops the background work of an application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._events: asyncio.Queue[Any] = asyncio.Queue()
        self._done: asyncio.Queue[Any] = asyncio.Queue()

    async def start(self) -> None:
        """Start the application."""
        self._task = asyncio.ensure_future(
            self._app({"type": "lifespan", "state": {}}, self._events.get, self._done.put)  # type: ignore[arg-type]
        )
        await self._send("startup")

    async def stop(self) -> None:
        """Stop the application."""
        await self._send("shutdown")
        await self._task

    async def _send(self, event: str) -> None:
        await self._events.put({"type": f"lifespan.{event}"})
        await self._done.get()


def _fill_orders(url: str) -> None:
    """Place orders of many lines for one account."""
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(_ORDERS, {"orders": ORDERS, "lines": LINES})
    connection.close()


_ORDERS = """
    WITH buyer AS (
        SELECT id FROM bench_account ORDER BY n LIMIT 1
    ), placed AS (
        INSERT INTO orders (id, number, user_id, status, currency, total, version,
            created_at, updated_at)
        SELECT gen_random_uuid(), 'BENCH-' || n, buyer.id, 'PENDING', 'EUR', 1, 1, now(), now()
        FROM buyer, generate_series(1, %(orders)s) AS n
        RETURNING id
    )
    INSERT INTO order_item (order_id, product_id, position, sku, name, unit_price, quantity)
    SELECT placed.id, product.id, product.n, 'SKU-' || product.n, 'Product ' || product.n, 100, 2
    FROM placed, (SELECT id, n FROM bench_product ORDER BY n LIMIT %(lines)s) AS product
"""


if __name__ == "__main__":
    main()
