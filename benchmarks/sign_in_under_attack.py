"""Measures the sign-ins of ordinary users while a few accounts sign in as fast as they can.

`python -m benchmarks.sign_in_under_attack` prints, for each attack, how many sign-ins of ordinary
users succeeded, and their median duration compared with the median without an attack. Hashing uses
the parameters of production. Each attack runs twice: with the usual rate limits, and with limits
that are never reached, so that only the fair hashing queue protects ordinary users.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.support.processes import run_server

PASSWORD = "blackberry strudel"
OFFICE = "192.0.2.1"
NO_LIMIT = 1_000_000
USUAL_LIMIT = 10
MAX_RATIO = 3.0

_USERS = 20
_PAUSE_SECONDS = 0.15
_TIMEOUT_SECONDS = 30


class Attack(NamedTuple):
    """A number of accounts that sign in repeatedly, on a number of connections in total."""

    accounts: int
    connections: int
    same_network: bool


class Figures(NamedTuple):
    """The results of the sign-ins of ordinary users."""

    succeeded: int
    attempted: int
    median_seconds: float

    def __str__(self) -> str:
        milliseconds = self.median_seconds * 1000
        return f"{self.succeeded:3} of {self.attempted} succeeded, median {milliseconds:6.1f} ms"


ATTACKS = tuple(
    Attack(accounts, connections, same_network)
    for accounts, connections in ((2, 20), (10, 60))
    for same_network in (False, True)
)


class Shop:
    """A server behind a trusted proxy: `X-Forwarded-For` says which network a client has."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._accounts = 0

    def register(self) -> str:
        """Create an account; return its email."""
        self._accounts += 1
        email = f"user{self._accounts}@example.com"
        body = {"email": email, "name": "U", "password": PASSWORD}
        network = f"198.18.0.{self._accounts}"
        assert _post(_connect(self._url), "register", body, network) == HTTPStatus.CREATED
        return email

    def measure(self) -> Figures:
        """Sign new users in, one after the other, each on a new connection from the office."""
        return self._measure([self.register() for _ in range(_USERS)])

    def _measure(self, users: list[str]) -> Figures:
        seconds, statuses = [], []
        for email in users:
            time.sleep(_PAUSE_SECONDS)
            began = time.perf_counter()
            statuses.append(sign_in(_connect(self._url), email, OFFICE))
            seconds.append(time.perf_counter() - began)
        return Figures(statuses.count(HTTPStatus.OK), _USERS, statistics.median(seconds))

    def measure_during(self, attack: Attack) -> Figures:
        """Measure while an attack runs in another process."""
        users = [self.register() for _ in range(_USERS)]
        accounts = [self.register() for _ in range(attack.accounts)]
        networks = [
            OFFICE if attack.same_network else f"203.0.113.{number}"
            for number in range(attack.accounts)
        ]
        context = multiprocessing.get_context("spawn")
        stop, started = context.Event(), context.Event()
        process = context.Process(
            target=_attack,
            args=(self._url, accounts, networks, attack.connections, started, stop),
        )
        process.start()
        started.wait(_TIMEOUT_SECONDS)
        try:
            return self._measure(users)
        finally:
            stop.set()
            process.join(_TIMEOUT_SECONDS)


def run(report: Callable[[str], None], limit: int) -> dict[Attack, float]:
    """Run all attacks; return the ratio of each median to the median without an attack.

    Raises:
        AssertionError: a sign-in of an ordinary user failed.
    """
    with (
        tempfile.TemporaryDirectory() as directory,
        run_server(
            Path(directory) / "data",
            ORDERLY_PASSWORD_HASH="standard",
            ORDERLY_TRUSTED_PROXIES="127.0.0.1",
            ORDERLY_REGISTRATION_LIMIT=str(NO_LIMIT),
            ORDERLY_SIGN_IN_LIMIT=str(limit),
            ORDERLY_LOG_LEVEL="warning",
            ORDERLY_WORKER="false",
        ) as server,
    ):
        shop = Shop(server.url)
        shop.measure()  # warms up
        quiet = shop.measure()
        report(f"limit {limit:7}, no attack: {quiet}")
        ratios, failed = {}, []
        for attack in ATTACKS:
            figures = shop.measure_during(attack)
            ratios[attack] = figures.median_seconds / quiet.median_seconds
            network = "same network" if attack.same_network else "other networks"
            report(
                f"limit {limit:7}, {attack.accounts:2} accounts on {attack.connections} "
                f"connections, {network:14}: {figures}, {ratios[attack]:.1f} times as long"
            )
            if figures.succeeded < figures.attempted:
                failed.append(attack)
        assert not failed, failed
        return ratios


def sign_in(connection: http.client.HTTPConnection, email: str, network: str) -> int:
    """Sign in from a network; return the status."""
    return _post(connection, "login", {"email": email, "password": PASSWORD}, network)


def _post(
    connection: http.client.HTTPConnection, operation: str, body: dict[str, str], network: str
) -> int:
    headers = {"Content-Type": "application/json", "X-Forwarded-For": network}
    connection.request("POST", f"/api/v1/auth/{operation}", json.dumps(body), headers)
    response = connection.getresponse()
    response.read()
    return response.status


def _connect(url: str) -> http.client.HTTPConnection:
    address = urlsplit(url)
    return http.client.HTTPConnection(
        address.hostname or "", address.port, timeout=_TIMEOUT_SECONDS
    )


def _attack(
    url: str,
    accounts: list[str],
    networks: list[str],
    connections: int,
    started: Event,
    stop: Event,
) -> None:
    def sign_in_repeatedly(number: int) -> None:
        connection = _connect(url)
        while not stop.is_set():
            index = number % len(accounts)
            sign_in(connection, accounts[index], networks[index])
            started.set()

    threads = [
        threading.Thread(target=sign_in_repeatedly, args=(number,)) for number in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    worst = max(max(run(print, limit).values()) for limit in (USUAL_LIMIT, NO_LIMIT))
    sys.exit(worst >= MAX_RATIO)
