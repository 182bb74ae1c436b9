"""Sends requests at a given rate, whether or not earlier ones were answered (open loop).

Runs in a process of its own, pinned to a core of its own: reads a `Plan` as JSON from standard
input, and writes an `Outcome` as JSON to standard output. Clients give up after a few seconds and
close their connection. One more client checks the server's health all the time.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any

import uvloop

BIN_SECONDS = 0.1
_TICK_SECONDS = 0.001
_HEALTH_SECONDS = 0.1
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "
_MAX_ITEMS = 3
_BODIES = 500
KINDS = ("order", "read")
# Rates at which the best one is searched, compared with that of the closed loop
_SEARCH = (0.8, 0.9, 1.0, 1.1, 1.2)
_PAUSE_SECONDS = 1.0


@dataclass
class Plan:
    """What to send."""

    host: str
    port: int
    tokens: list[str]
    products: list[str]
    patience_seconds: float
    core: int | None
    # The share of requests that read a product; the others place an order.
    reads: float
    # Clients in a closed loop (each sends its next request at once), which find the rate around
    # which the best rate is searched.
    clients: int
    warm_up_seconds: float
    search_seconds: float
    # Then so many times the best rate, and after that, less than the best rate.
    rush: float
    rush_seconds: float
    after: float
    after_seconds: float


@dataclass
class Outcome:
    """What happened, in bins of a tenth of a second, by kind of request."""

    # Name of the phase, begin and end in seconds, requests sent per second
    phases: list[tuple[str, float, float, float]] = field(default_factory=list)
    best_rate: float = 0.0
    # "order sent", "order ok", "read refused" and so on -> number in each bin.
    # `sent ... ok` counts by the time at which the request was sent, the others by the time of
    # the event.
    bins: dict[str, dict[int, int]] = field(default_factory=dict)
    given_up_keys: list[str] = field(default_factory=list)
    latencies: dict[str, list[float]] = field(default_factory=dict)
    # (time, seconds)
    health: list[tuple[float, float]] = field(default_factory=list)
    max_lag_seconds: float = 0.0

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Outcome:
        """Return the outcome that was written as JSON, whose keys are texts."""
        bins = {
            event: {int(number): count for number, count in one.items()}
            for event, one in values.pop("bins").items()
        }
        return cls(bins=bins, **values)

    def count(self, event: str, at: float) -> None:
        """Count an event at a time."""
        bins = self.bins.setdefault(event, {})
        number = int(at / BIN_SECONDS)
        bins[number] = bins.get(number, 0) + 1


class Generator:
    """Sends the requests of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.outcome = Outcome()
        self.idle: deque[Connection] = deque()
        self.began = time.perf_counter()
        self.phase = ""
        # In a closed loop a client that is done sends its next request.
        self.closed_loop = False
        self.done = 0
        self._random = random.Random(1)
        self._numbers = iter(range(10**9))
        self._reads = list(self._read_requests())
        self._orders = list(self._order_requests())

    async def run(self) -> Outcome:
        """Run all phases."""
        health = [asyncio.ensure_future(self._check_health(path)) for path in ("live", "ready")]
        closed_loop = await self._closed_loop()
        for factor in _SEARCH:
            ok = self._ok()
            seconds = await self._phase("search", closed_loop * factor, self.plan.search_seconds)
            rate = (self._ok() - ok) / seconds
            self.outcome.best_rate = max(self.outcome.best_rate, rate)
            await asyncio.sleep(_PAUSE_SECONDS)
        best = self.outcome.best_rate
        await self._phase("rush", best * self.plan.rush, self.plan.rush_seconds)
        await self._phase("after", best * self.plan.after, self.plan.after_seconds)
        await asyncio.sleep(self.plan.patience_seconds)
        for one in health:
            one.cancel()
        return self.outcome

    def now(self) -> float:
        """Return the seconds since the begin."""
        return time.perf_counter() - self.began

    def _ok(self) -> int:
        bins = self.outcome.bins
        return sum(sum(bins.get(f"{kind} ok", {}).values()) for kind in KINDS)

    async def _closed_loop(self) -> float:
        """Return the rate at which the clients of a closed loop are served."""
        self.phase = "closed loop"
        self.closed_loop = True
        for _ in range(self.plan.clients):
            await self._start_request()
        await asyncio.sleep(self.plan.warm_up_seconds)
        begin, done = self.now(), self.done
        await asyncio.sleep(self.plan.search_seconds)
        rate = (self.done - done) / (self.now() - begin)
        self.closed_loop = False
        await asyncio.sleep(_PAUSE_SECONDS)
        return rate

    async def _phase(self, name: str, rate: float, seconds: float) -> float:
        """Send requests at a rate; return the actual seconds."""
        begin = self.now()
        self.phase = name
        await self._send_at(rate, seconds)
        self.outcome.phases.append((name, begin, self.now(), rate))
        return self.now() - begin

    async def _send_at(self, rate: float, seconds: float) -> None:
        begin = due = time.perf_counter()
        starting: set[asyncio.Task[None]] = set()
        while (now := time.perf_counter()) < begin + seconds:
            self.outcome.max_lag_seconds = max(self.outcome.max_lag_seconds, now - due)
            while due <= now:
                due += self._random.expovariate(rate)
                if self.idle:
                    self.idle.pop().send(*self._next_request())
                else:
                    task = asyncio.ensure_future(self._start_request())
                    starting.add(task)
                    task.add_done_callback(starting.discard)
            await asyncio.sleep(_TICK_SECONDS)

    async def _start_request(self) -> None:
        """Send a request on a new connection."""
        kind, key, request = self._next_request()
        sent_at = self.now()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.plan.patience_seconds):
                transport, connection = await loop.create_connection(
                    lambda: Connection(self), self.plan.host, self.plan.port
                )
        except (OSError, TimeoutError):
            self.outcome.count(f"{kind} sent", sent_at)
            self.outcome.count(f"{kind} not connected", self.now())
            return
        connection.transport = transport
        connection.send(kind, key, request, sent_at)

    def send_next(self, connection: Connection) -> None:
        """Reuse a connection whose request is done."""
        self.done += 1
        if self.closed_loop:
            connection.send(*self._next_request())
        else:
            self.idle.append(connection)

    def _next_request(self) -> tuple[str, str, bytes]:
        if self._random.random() < self.plan.reads:
            return "read", "", self._random.choice(self._reads)
        key = f"overload-{os.getpid()}-{next(self._numbers)}"
        head, rest = self._random.choice(self._orders)
        return "order", key, head + key.encode() + rest

    def _read_requests(self) -> Iterator[bytes]:
        for product in self._random.sample(self.plan.products, _BODIES):
            yield f"GET /api/v1/products/{product} HTTP/1.1\r\nHost: shop\r\n\r\n".encode()

    def _order_requests(self) -> Iterator[tuple[bytes, bytes]]:
        for _ in range(_BODIES):
            products = self._random.sample(self.plan.products, self._random.randint(1, _MAX_ITEMS))
            items = [{"product_id": one, "quantity": 1} for one in products]
            body = json.dumps({"items": items})
            head = (
                "POST /api/v1/orders HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n"
                f"Authorization: Bearer {self._random.choice(self.plan.tokens)}\r\n"
                f"Content-Length: {len(body)}\r\nIdempotency-Key: "
            )
            yield head.encode(), f"\r\n\r\n{body}".encode()

    async def _check_health(self, name: str) -> None:
        request = f"GET /health/{name} HTTP/1.1\r\nHost: shop\r\n\r\n".encode()
        while True:
            began = self.now()
            reader, writer = await asyncio.open_connection(self.plan.host, self.plan.port)
            writer.write(request)
            head = await reader.readuntil(_HEAD_END)
            seconds = self.now() - began
            writer.close()
            status = int(head[9:12])
            self.outcome.health.append((began, seconds))
            if status != HTTPStatus.OK:
                self.outcome.count(f"health/{name} {status}", began)
            await asyncio.sleep(max(0, _HEALTH_SECONDS - seconds))


class Connection(asyncio.Protocol):
    """One client's connection, with at most one request at a time."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._outcome = generator.outcome
        self.transport: asyncio.Transport
        self._buffer = b""
        self._request: tuple[str, str, float, str] | None = None
        self._timer: asyncio.TimerHandle

    def send(self, kind: str, key: str, request: bytes, sent_at: float | None = None) -> None:
        """Send a request, and give up if there is no response in time."""
        now = self._generator.now()
        sent_at = now if sent_at is None else sent_at
        self._request = (kind, key, sent_at, self._generator.phase)
        self._outcome.count(f"{kind} sent", sent_at)
        self.transport.write(request)
        patience = self._generator.plan.patience_seconds - (now - sent_at)
        self._timer = asyncio.get_running_loop().call_later(patience, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Record a response when it is complete."""
        self._buffer += data
        head, end, body = self._buffer.partition(_HEAD_END)
        if not end or self._request is None:
            return
        head = head.lower() + b"\r\n"
        length = head.index(_LENGTH) + len(_LENGTH)
        if len(body) < int(head[length : head.index(b"\r\n", length)]):
            return
        self._done(int(head[9:12]), closes=b"connection: close" in head)

    def _done(self, status: int, *, closes: bool) -> None:
        assert self._request is not None
        kind, _, sent_at, phase = self._request
        self._buffer, self._request = b"", None
        self._timer.cancel()
        now = self._generator.now()
        if status < HTTPStatus.BAD_REQUEST:
            self._outcome.count(f"{kind} ok", now)
            self._outcome.count(f"{kind} sent and ok", sent_at)
            self._outcome.latencies.setdefault(f"{kind} {phase}", []).append(now - sent_at)
        elif status == HTTPStatus.SERVICE_UNAVAILABLE:
            self._outcome.count(f"{kind} refused", now)
            self._outcome.latencies.setdefault(f"{kind} {phase} refused", []).append(now - sent_at)
        else:
            self._outcome.count(f"{kind} {status}", now)
        if closes:
            self.transport.close()
        else:
            self._generator.send_next(self)

    def _give_up(self) -> None:
        assert self._request is not None
        kind, key, _, _ = self._request
        self._request = None
        self._outcome.count(f"{kind} given up", self._generator.now())
        if key:
            self._outcome.given_up_keys.append(key)
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Record that a request failed."""
        del exc
        if self._request is not None:
            self._timer.cancel()
            self._outcome.count(f"{self._request[0]} lost", self._generator.now())
            self._request = None
        elif self in self._generator.idle:
            self._generator.idle.remove(self)


def main() -> None:
    """Carry out the plan on standard input."""
    values: dict[str, Any] = json.load(sys.stdin)
    plan = Plan(**values)
    if plan.core is not None:
        os.sched_setaffinity(0, {plan.core})
    outcome = uvloop.run(Generator(plan).run())
    json.dump(asdict(outcome), sys.stdout)


if __name__ == "__main__":
    main()
