"""Clients that place orders until told to stop, and record what they saw.

Each order has its own idempotency key, which is also its note. A client repeats a request that
failed, with the same key, until it knows the outcome: so it never orders twice on purpose.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import pairwise
from typing import NamedTuple
from uuid import uuid4

from tests.support.processes import wait_until

BUYERS = 8
READERS = 2
# Requests may take this long before a client gives up and repeats them.
PATIENCE_SECONDS = 5.0
# Slower responses count as a fault that clients notice.
SLOW_SECONDS = 1.0
_PAUSE_SECONDS = 0.05
# Shorter than `Retry-After`, so that the time of the recovery is measured exactly.
_RETRY_SECONDS = 0.2
# A client has recovered after this number of good attempts.
_GOOD_ATTEMPTS = 5
_OK = frozenset({200, 201, "insufficient_stock"})
# All that clients may see during a fault
EXPECTED = _OK | {503, "idempotency_in_flight", "connection lost", "connection refused", "timeout"}


class Attempt(NamedTuple):
    """One request: when it ended, how long it took, and the status, problem or error."""

    ended: float
    seconds: float
    outcome: int | str

    @property
    def is_good(self) -> bool:
        return self.outcome in _OK and self.seconds <= SLOW_SECONDS


@dataclass
class Client:
    """What one client did."""

    attempts: list[Attempt] = field(default_factory=list)
    # Idempotency key -> id of the order, for each 201
    acknowledged: dict[str, str] = field(default_factory=dict)

    def has_recovered(self, since: float) -> bool:
        latest = self.attempts[-_GOOD_ATTEMPTS:]
        return len(latest) == _GOOD_ATTEMPTS and all(
            one.is_good and one.ended - one.seconds > since for one in latest
        )


class OrderLoad:
    """Clients that place orders, and others that read a page of products.

    `port` may be changed while the clients run.
    """

    def __init__(self, port: int, tokens: Iterable[str], product: str, scarce: str) -> None:
        self.port = port
        self.clients = [Client() for _ in range(BUYERS + READERS)]
        # From then on, every fourth order is for the scarce product, until it is sold out.
        self.sells_scarce_product = False
        self._products = (product, scarce)
        self._stopped, self._gave_up = threading.Event(), threading.Event()
        tokens = list(tokens)
        self._threads = [
            threading.Thread(
                target=self._run, args=(client, tokens[number % len(tokens)], number), daemon=True
            )
            for number, client in enumerate(self.clients)
        ]

    def start(self) -> None:
        """Start all clients; return when each has placed orders."""
        for thread in self._threads:
            thread.start()
        began = time.monotonic() - 60
        wait_until(lambda: self.has_recovered(since=began))

    def has_recovered(self, since: float) -> bool:
        """Return whether the latest attempts of all clients, begun after a time, are good."""
        return all(client.has_recovered(since) for client in self.clients)

    def stop(self) -> None:
        """Let each client find out the outcome of its order, and stop."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def give_up(self) -> None:
        """Stop all clients, also those that do not know the outcome of their order."""
        self._stopped.set()
        self._gave_up.set()

    @property
    def outcomes(self) -> set[int | str]:
        """The statuses, problems and errors that clients saw."""
        return {one.outcome for client in self.clients for one in client.attempts}

    @property
    def acknowledged(self) -> dict[str, str]:
        """The idempotency key and the id of each order that a client got a 201 for."""
        return {key: id_ for client in self.clients for key, id_ in client.acknowledged.items()}

    def attempts(self, since: float) -> list[Attempt]:
        """Return all attempts that ended after a time, in the order of their ends."""
        return sorted(
            one for client in self.clients for one in client.attempts if one.ended > since
        )

    def _run(self, client: Client, token: str, number: int) -> None:
        send = _Sender(client, token)
        count = 0
        while not self._stopped.wait(_PAUSE_SECONDS):
            count += 1
            if number >= BUYERS:
                send(lambda: self.port, "GET", "/api/v1/products?limit=5", None, "")
                continue
            scarce = self.sells_scarce_product and count % 4 == 0
            key = str(uuid4())
            body = {
                "items": [{"product_id": self._products[scarce], "quantity": 1}],
                "note": key,
            }
            while True:
                outcome, content = send(lambda: self.port, "POST", "/api/v1/orders", body, key)
                if outcome == 201:
                    client.acknowledged[key] = content["id"]
                if outcome in _OK or self._gave_up.wait(_RETRY_SECONDS):
                    break
        send.close()


class _Sender:
    """Sends requests on one connection, and opens a new one after an error."""

    def __init__(self, client: Client, token: str) -> None:
        self._client = client
        self._token = token
        self._connection: HTTPConnection | None = None

    def __call__(
        self, port: Callable[[], int], method: str, path: str, body: object, key: str
    ) -> tuple[int | str, dict[str, str]]:
        began = time.monotonic()
        content: dict[str, str] = {}
        outcome: int | str
        try:
            if self._connection is None or self._connection.port != port():
                self.close()
                self._connection = HTTPConnection("127.0.0.1", port(), timeout=PATIENCE_SECONDS)
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
            if key:
                headers["Idempotency-Key"] = key
            self._connection.request(
                method, path, None if body is None else json.dumps(body), headers
            )
            response = self._connection.getresponse()
            content = json.loads(response.read())
            outcome = response.status
            if outcome >= 400:
                outcome = 503 if outcome == 503 else content["code"]
            if response.will_close:
                self.close()
        except TimeoutError:
            outcome = "timeout"
            self.close()
        except ConnectionRefusedError:
            outcome = "connection refused"
            self.close()
        except (OSError, HTTPException):
            outcome = "connection lost"
            self.close()
        ended = time.monotonic()
        self._client.attempts.append(Attempt(ended, ended - began, outcome))
        return outcome, content

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def describe(attempts: list[Attempt], began: float) -> str:
    """Return what clients saw in attempts since the beginning of a fault, as text."""
    bad = Counter(str(one.outcome) for one in attempts if one.outcome not in _OK)
    texts = [f"{count} x {outcome}" for outcome, count in sorted(bad.items())]
    slowest = max((one.seconds for one in attempts if one.outcome in _OK), default=0.0)
    if slowest > SLOW_SECONDS:
        texts.append(f"slowest answer {slowest:.1f} s")
    placed = [began, *(one.ended for one in attempts if one.outcome == 201)]
    gap = max((later - one for one, later in pairwise(placed)), default=0.0)
    if gap > SLOW_SECONDS:
        texts.append(f"no order for {gap:.1f} s")
    return "; ".join(texts) or "nothing"
