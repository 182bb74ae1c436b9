"""Counts the function calls of a request: `python -m benchmarks.calls`.

The CPU time of a request varies by a quarter on a shared machine. The number of calls does not, so
it shows what a change of the code costs, and which function is called more often than expected.
Prints the number of calls of Python functions and of functions written in C, for one request of
each kind. `--functions` also prints how often each Python function is called.

The counts are those of the event loop's thread, which handles all requests, by `sys.setprofile`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import cycle, islice, pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

from benchmarks import servers
from benchmarks.measuring import environment_description

_REQUESTS = 200
_PAUSE_SECONDS = 0.5
_START, _STOP = signal.SIGRTMIN, signal.SIGRTMIN + 1
# The file to which the server writes the counts
_FILE_VARIABLE = "BENCHMARK_CALLS"


class Request(NamedTuple):
    """A request of the measurement; a body is sent as JSON."""

    method: str
    path: str
    body: object = None


class Counts(NamedTuple):
    """The calls of one request: in total, of C functions, and of each Python function."""

    python: float
    c: float
    functions: Mapping[str, float]


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls")
    parser.add_argument("--functions", action="store_true")
    given = parser.parse_args()
    with servers.ground() as ground:
        os.environ[_FILE_VARIABLE] = str(ground.directory / "calls")
        with servers.orderly(ground.settings, ground.directory, __spec__.name) as running:
            found = {name: _count(ground, running, one) for name, one in _kinds(ground).items()}
    print(environment_description())
    print(f"{'calls of one request':36}{'Python':>8}{'C':>8}")
    for name, counts in found.items():
        print(f"{name:36}{counts.python:8.0f}{counts.c:8.0f}")
    if given.functions:
        for name, counts in found.items():
            print(f"\n{name}")
            for function, calls in counts.functions.items():
                print(f"{calls:8.2f} {function}")


def _kinds(ground: servers.Ground) -> Mapping[str, Iterator[Request]]:
    products = ground.stock.products.read_text().split()
    return {
        "an order of two products": (
            Request("POST", "/orders", _order(pair)) for pair in pairwise(cycle(products))
        ),
        "one product, signed in": (Request("GET", f"/products/{one}") for one in cycle(products)),
        "a page of 20, signed in": cycle([Request("GET", "/products?limit=20")]),
    }


def _order(products: Iterable[str]) -> object:
    return {"items": [{"product_id": one, "quantity": 1} for one in products]}


def _count(ground: servers.Ground, running: servers.Running, requests: Iterator[Request]) -> Counts:
    connection = http.client.HTTPConnection(running.address.removeprefix("http://"))
    token, *_ = ground.stock.tokens.read_text().split()
    for request in islice(requests, _REQUESTS):
        _send(connection, token, request)  # warms up
    _signal(running, _START)
    for request in islice(requests, _REQUESTS):
        _send(connection, token, request)
    _signal(running, _STOP)
    connection.close()
    kinds = json.loads(Path(os.environ[_FILE_VARIABLE]).read_text())
    functions = {name: calls / _REQUESTS for name, calls in kinds["python"].items()}
    return Counts(sum(functions.values()), kinds["c"] / _REQUESTS, functions)


def _send(connection: http.client.HTTPConnection, token: str, request: Request) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    body = None
    if request.body is not None:
        body = json.dumps(request.body)
        headers["Content-Type"] = "application/json"
        headers["Idempotency-Key"] = f"calls-{time.monotonic_ns()}"
    connection.request(request.method, f"/api/v1{request.path}", body, headers)
    response = connection.getresponse()
    content = response.read()
    if response.status not in {200, 201}:
        raise RuntimeError(content.decode())


def _signal(running: servers.Running, number: int) -> None:
    os.kill(running.pid, number)
    time.sleep(_PAUSE_SECONDS)


def _serve_and_count() -> None:
    """Run `orderly serve`. The first signal begins the counting; the second writes the counts."""
    from orderly.cli.main import main as run_command  # noqa: PLC0415  # only for the server

    python: Counter[CodeType] = Counter()
    c = 0

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal c
        if event == "call":
            python[frame.f_code] += 1
        elif event == "c_call":
            c += 1

    def start(*_: object) -> None:
        nonlocal c
        python.clear()
        c = 0
        sys.setprofile(count)

    def stop(*_: object) -> None:
        sys.setprofile(None)
        names = {_name(code): calls for code, calls in python.most_common()}
        Path(os.environ[_FILE_VARIABLE]).write_text(json.dumps({"python": names, "c": c}))

    signal.signal(_START, start)
    signal.signal(_STOP, stop)
    run_command()


def _name(code: CodeType) -> str:
    file = code.co_filename.rpartition("site-packages/")[2]
    return f"{code.co_qualname} ({file}:{code.co_firstlineno})"


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        _serve_and_count()
    else:
        main()
