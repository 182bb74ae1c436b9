"""The compiled contract judges requests as stock Connexion does: the quick way is the slow one.

Both get the shop's whole document, without its security, around handlers that do nothing, and
thousands of requests made from the document's own examples and bounds. Where the compiled contract
means to be stricter (numbers spelled otherwise, fields given twice, text that is no Unicode), such
requests are not made here: `tests/unit/test_contract_*.py` and `tests/api/test_protocol.py` have
them. Formats are what stock Connexion does not look at: it is given ours.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import connexion
import pytest
from connexion.resolver import Resolver
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator
from starlette.routing import Router
from starlette.types import ASGIApp

from orderly.contract import schemas
from orderly.contract.parameters import ParameterPlan
from orderly.factory import connexion_app
from tests.support.contract import DOCUMENT, Node, operations

REQUESTS = 3000
OPERATIONS = [node for _, node in operations()]
FORMATS = Draft4Validator.FORMAT_CHECKER

# What a member or parameter may be replaced by: of every type, at and beyond every kind of bound.
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 100, 101, 1.5, 10_000, 10_001, 2**31, 2**53, 9_000_000_000_001),
    *("", "x", "EUR", "eur", "PAID", "paid", "-total", "created_at", "ada@example.com", "ada@"),
    *("0192f0c1-7e2a-7b31-8c55-5d0a1f4be111", "0192F0C1-7E2A-7B31-8C55-5D0A1F4BE111", "0192f0c1"),
    *("2026-11-23T10:00:00Z", "2026-11-23T10:00:00+01:00", "2026-11-23", "2026-13-40T10:00:00Z"),
    *("a" * length for length in (8, 9, 22, 40, 41, 64, 100, 101, 128, 129, 200, 201, 255, 256)),
    *("a" * length for length in (500, 501, 1000, 1001, 2000, 2001)),
    *([], {}, ["x"], [1, 2], {"x": 1}, {"amount": 1, "currency": "EUR"}),
]


def spelled(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


TEXTS = list(map(spelled, VALUES))


class Request(NamedTuple):
    """One request, as it is sent."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Stack(NamedTuple):
    """Both ways to judge a request."""

    compiled: ASGIApp
    stock: ASGIApp
    loop: asyncio.AbstractEventLoop


def without_security() -> dict[str, Any]:
    contract = copy.deepcopy(DOCUMENT)
    contract.pop("security", None)
    for path in contract["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict):
                operation.pop("security", None)
                operation.pop("x-required-role", None)
    return contract


def resolver(*, compiled: bool) -> Resolver:
    """Answer every operation as it documents its success, whatever it was asked."""
    return Resolver(
        {
            f"{node['x-openapi-router-controller']}.{node['operationId']}": (
                for_compiled(node) if compiled else for_stock(node)
            )
            for node in OPERATIONS
        }.__getitem__
    )


def for_stock(node: Node) -> Callable[..., Any]:
    status, media_type = success(node)
    headers = {"Content-Type": media_type} if media_type else {}
    answer = {} if media_type == "application/json" else ""

    async def handler(**_: Any) -> tuple[Any, int, dict[str, str]]:
        return answer, status, headers

    return handler


def for_compiled(node: Node) -> Callable[..., Any]:
    status, media_type = success(node)
    names = ParameterPlan(node["parameters"]).names | ({"body"} if "requestBody" in node else set())

    async def handler(**_: Any) -> tuple[Any, int, dict[str, str]]:
        return iter([b""]) if "csv" in media_type else {}, status, {}

    # The parameters that it says it takes are held against the operation's at start.
    kind = inspect.Parameter.KEYWORD_ONLY
    taken = [inspect.Parameter(name, kind) for name in names]
    handler.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]
    return handler


def success(node: Node) -> tuple[int, str]:
    status = min(node["responses"])
    return int(status), next(iter(node["responses"][status].get("content", {})), "")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    given = {"uuid": schemas._is_uuid, "date-time": schemas._is_date_time}
    known = dict(FORMATS.checkers)
    for name, judge in given.items():
        FORMATS.checks(name)(lambda value, judge=judge: not isinstance(value, str) or judge(value))
    stock = connexion.AsyncApp(__name__)
    stock.add_api(without_security(), strict_validation=True, resolver=resolver(compiled=False))
    compiled = connexion_app(
        without_security(), other_routes=Router(), resolver=resolver(compiled=True)
    )
    loop = asyncio.new_event_loop()
    logging.disable(logging.ERROR)  # stock Connexion tells of each request that it refuses
    yield Stack(compiled, stock, loop)
    logging.disable(logging.NOTSET)
    loop.close()
    FORMATS.checkers.clear()
    FORMATS.checkers.update(known)


async def status_of(app: ASGIApp, request: Request) -> int:
    sent: list[Any] = []
    to_come = [{"type": "http.request", "body": request.body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return to_come.pop() if to_come else await asyncio.Future()  # the client stays

    async def send(message: Any) -> None:
        sent.append(message)

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
    status: int = sent[0]["status"]
    return status


@st.composite
def requests(draw: st.DrawFn) -> Request:
    node = draw(st.sampled_from(OPERATIONS))
    path, query, headers = f"/api/v1{node['path']}", [], []
    for one in node["parameters"]:
        text = draw(spellings(one))
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", quote(text or "x", safe=""))
        elif text is not None and one["in"] == "query":
            query.append((one["name"], text))
        elif text is not None and text.strip():
            headers.append((one["name"], text))
    if draw(st.integers(0, 15)) == 0:
        query.append(("unknown", "x"))
    body = b""
    if "requestBody" in node:
        media_type = draw(st.sampled_from(sorted(node["requestBody"]["content"])))
        headers.append(("content-type", media_type))
        sent = draw(bodies(node["requestBody"]["content"][media_type]))
        body = (sent if isinstance(sent, str) else json.dumps(sent)).encode()
    return Request(node["method"].upper(), path, urlencode(query), tuple(headers), body)


def spellings(parameter: Node) -> st.SearchStrategy[str | None]:
    """Return texts for a parameter: mostly good ones, or it is left out."""
    schema = parameter["schema"].get("items", parameter["schema"])
    good = [one["value"] for one in parameter.get("examples", {}).values()]
    good += schema.get("enum", [])
    good += [schema[bound] for bound in ("minimum", "maximum", "default") if bound in schema]
    usually = st.sampled_from([spelled(one) for one in good if not isinstance(one, list)] or ["x"])
    absent: st.SearchStrategy[str | None] = st.none() if parameter["in"] != "path" else usually
    return st.one_of(absent, usually, usually, usually, st.sampled_from(TEXTS))


def bodies(content: Node) -> st.SearchStrategy[Any]:
    """Return the document's own examples, as they are and with up to two mutations.

    Those that are no JSON are files: stock Connexion looks into none.
    """
    examples = st.sampled_from([one["value"] for one in content["examples"].values()])
    return st.builds(mutated, examples, st.lists(mutations, max_size=2))


mutations = st.tuples(
    st.sampled_from(["replace", "remove", "add"]),
    st.lists(st.integers(0, 7), min_size=1, max_size=4),
    st.sampled_from(VALUES),
)


def mutated(example: Any, steps: list[tuple[str, list[int], Any]]) -> Any:
    body = copy.deepcopy(example)
    for kind, way, shared in [] if isinstance(example, str) else steps:
        place, value = body, copy.deepcopy(shared)
        for turn in way[:-1]:
            members = list(place.values()) if isinstance(place, dict) else place
            if not members or not isinstance(inner := members[turn % len(members)], dict | list):
                break
            place = inner
        keys: list[Any] = list(place) if isinstance(place, dict) else list(range(len(place)))
        if kind == "add":
            place.update(unknown=value) if isinstance(place, dict) else place.append(value)
        elif keys:
            key = keys[way[-1] % len(keys)]
            if kind == "replace":
                place[key] = value
            else:
                del place[key]
    return body


def test_a_request_is_judged_as_stock_connexion_judges_it(stack: Stack) -> None:
    verdicts: dict[int, int] = {}

    @seed(20261123)
    @settings(
        max_examples=REQUESTS,
        phases=[Phase.generate],  # a request is short enough to be read as it is
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(requests())
    def judge(request: Request) -> None:
        ours = stack.loop.run_until_complete(status_of(stack.compiled, request))
        theirs = stack.loop.run_until_complete(status_of(stack.stock, request))
        verdicts[ours] = verdicts.get(ours, 0) + 1

        assert theirs == ours, request

    judge()

    # Neither has only ever said yes, or only no.
    assert min(sum(n for s, n in verdicts.items() if s < 300), verdicts[400]) > REQUESTS // 10
