"""The compiled contract accepts and rejects the same requests as stock Connexion.

A differential property-based test with unmodified Connexion as the oracle. The compiled contract
(`orderly/contract`) is Orderly's replacement for Connexion's validation: it compiles the validators
of each operation once, at start. Both serve the whole contract, without its security, with handlers
that do nothing. Hypothesis generates 3000 requests from the contract's examples and bounds.

The compiled contract is stricter on purpose. It rejects, for example, `?limit=05` and `?limit=1_0`,
a query field that occurs twice (`?limit=5&limit=6`), and invalid UTF-8 (`?q=%FF`). Such requests
are not generated here; `tests/unit/test_contract_*.py` and `tests/api/test_protocol.py` test them.

Stock Connexion does not check formats, so it uses the compiled contract's format checks.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import connexion
import pytest
from connexion.resolver import Resolver
from hypothesis import HealthCheck, Phase, given, seed, settings
from jsonschema import Draft4Validator
from starlette.routing import Router
from starlette.types import ASGIApp

from orderly.contract import schemas
from orderly.contract.parameters import ParameterPlan
from orderly.factory import connexion_app
from tests.support.contract import DOCUMENT, Node
from tests.support.contract_strategies import OPERATIONS, HttpRequest, requests

REQUEST_COUNT = 3000
FORMATS = Draft4Validator.FORMAT_CHECKER


class Apps(NamedTuple):
    """The two applications that are compared, and the event loop that runs them."""

    compiled: ASGIApp
    stock: ASGIApp
    loop: asyncio.AbstractEventLoop


def document_without_security() -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    document.pop("security", None)
    for path_item in document["paths"].values():
        for operation in path_item.values():
            if isinstance(operation, dict):
                operation.pop("security", None)
                operation.pop("x-required-role", None)
                # Stock Connexion knows no body that is not checked.
                operation.get("requestBody", {}).pop("x-raw-body", None)
    return document


def resolver(new_handler: Callable[[Node], Callable[..., Any]]) -> Resolver:
    """Resolve each operation to a handler that returns a documented success."""
    return Resolver(
        {
            f"{node['x-openapi-router-controller']}.{node['operationId']}": new_handler(node)
            for node in OPERATIONS
        }.__getitem__
    )


def stock_handler(node: Node) -> Callable[..., Any]:
    status, media_type = success(node)
    headers = {"Content-Type": media_type} if media_type else {}
    body = {} if media_type == "application/json" else ""

    async def handler(**_: Any) -> tuple[Any, int, dict[str, str]]:
        return body, status, headers

    return handler


def compiled_handler(node: Node) -> Callable[..., Any]:
    status, media_type = success(node)
    names = ParameterPlan(node["parameters"]).names | ({"body"} if "requestBody" in node else set())

    async def handler(**_: Any) -> tuple[Any, int, dict[str, str]]:
        body: Any = iter([b""]) if "csv" in media_type else {}
        return body, status, {}

    # The compiled contract compares the handler's signature with the operation at start.
    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    handler.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return handler


def success(node: Node) -> tuple[int, str]:
    """Return the status and media type of an operation's success; "" for no body."""
    status = min(node["responses"])
    return int(status), next(iter(node["responses"][status].get("content", {})), "")


@pytest.fixture(scope="module")
def apps() -> Iterator[Apps]:
    """Create both applications, and let stock Connexion's validator use our format checks."""
    formats = {"uuid": schemas._is_uuid, "date-time": schemas._is_date_time}
    original_checkers = dict(FORMATS.checkers)
    for name, check in formats.items():
        FORMATS.checks(name)(lambda value, check=check: not isinstance(value, str) or check(value))
    stock = connexion.AsyncApp(__name__)
    stock.add_api(
        document_without_security(), strict_validation=True, resolver=resolver(stock_handler)
    )
    compiled = connexion_app(  # Orderly's application, with the compiled contract
        document_without_security(), other_routes=Router(), resolver=resolver(compiled_handler)
    )
    loop = asyncio.new_event_loop()
    logging.disable(logging.ERROR)  # stock Connexion logs each request that it rejects
    yield Apps(compiled, stock, loop)
    logging.disable(logging.NOTSET)
    loop.close()
    FORMATS.checkers.clear()
    FORMATS.checkers.update(original_checkers)


async def status_of(app: ASGIApp, request: HttpRequest) -> int:
    """Send a request to an ASGI application; return the status of the response."""
    messages: list[Any] = []
    body_messages = [{"type": "http.request", "body": request.body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        # After the body, wait forever: the client does not disconnect.
        return body_messages.pop() if body_messages else await asyncio.Future()

    async def send(message: Any) -> None:
        messages.append(message)

    length = [("content-length", str(len(request.body)))] if request.body else []
    await app(
        {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "path": request.path,
            "raw_path": quote(request.path).encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": request.query.encode(),
            "headers": [
                (name.lower().encode(), value.encode("latin-1"))
                for name, value in (("host", "localhost"), *request.headers, *length)
            ],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8000),
        },
        receive,
        send,
    )
    status: int = messages[0]["status"]
    return status


def test_the_compiled_contract_returns_the_same_status_as_stock_connexion(apps: Apps) -> None:
    statuses: Counter[int] = Counter()

    @seed(20261123)
    @settings(
        max_examples=REQUEST_COUNT,
        phases=[Phase.generate],  # no shrinking: a request is short enough to read
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(requests())
    def compare(request: HttpRequest) -> None:
        compiled = apps.loop.run_until_complete(status_of(apps.compiled, request))
        stock = apps.loop.run_until_complete(status_of(apps.stock, request))
        statuses[compiled] += 1

        # A body that is larger than any valid body is refused before it is checked.
        expected = 400 if compiled == 413 else compiled
        assert stock == expected, request

    compare()

    # Enough of the requests were accepted, and enough rejected.
    accepted = sum(count for status, count in statuses.items() if status < 300)
    assert min(accepted, statuses[400]) > REQUEST_COUNT // 10
