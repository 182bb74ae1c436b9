"""Traces of requests, with the in-memory exporter of OpenTelemetry."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from database.binding import database
from domain import trace_context
from orderly.factory import create_app
from orderly.http import logging
from orderly.settings import Settings, SettingsError
from orderly.tracing.setup import check_environment
from orderly.tracing.spans import Tracing
from tests.support.embedded_postgresql import run_statement
from tests.support.settings import SIGNING_KEY

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
PRODUCT = "/api/v1/products/01a20800-676e-7598-a9cd-edf85c4534c8"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.fixture(params=["greenlets", "threads"])
def settings(request: pytest.FixtureRequest, shop: str, runtime_url: str) -> Settings:
    return replace(
        Settings.from_environment({}),
        database_url=runtime_url,
        signing_key=SIGNING_KEY,
        password_hash="cheapest",
        handlers=request.param,
        traces=True,
    )


@pytest.fixture
def log() -> Iterator[io.BytesIO]:
    stream = io.BytesIO()
    logging.configure("info", "json", stream)
    yield stream
    structlog.reset_defaults()


async def send(
    app: ASGIApp, path: str, *, method: str = "GET", body: bytes = b"", **headers: str
) -> int:
    """Send a request to an application; return the status of the response."""
    fields = {"host": "localhost", "content-type": "application/json", **headers}
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"q=hunter2" if path.endswith("products") else b"",
        "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
        "client": ("192.0.2.1", 50000),
        "server": ("127.0.0.1", 8000),
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def collect(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, collect)
    status: int = sent[0]["status"]
    return status


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def parent_of(span: ReadableSpan) -> str | None:
    return None if span.parent is None else format_span_id(span.parent.span_id)


def id_of(span: ReadableSpan) -> str:
    return format_span_id(span.get_span_context().span_id)


def test_a_request_has_spans_for_itself_its_handler_and_its_statement(
    settings: Settings,
    provider: TracerProvider,
    exporter: InMemorySpanExporter,
    log: io.BytesIO,
) -> None:
    app = create_app(settings, tracer_provider=provider)

    assert 404 == asyncio.run(send(app, PRODUCT, traceparent=TRACEPARENT))

    spans = by_name(exporter)
    request, handler, statement = (
        spans[name] for name in ("get_product", "handlers.products.get_product", "product.FIND")
    )
    assert [TRACE] * 3 == [
        format_trace_id(span.get_span_context().trace_id) for span in (request, handler, statement)
    ]
    assert [PARENT, id_of(request), id_of(handler)] == [
        parent_of(span) for span in (request, handler, statement)
    ]
    assert (SpanKind.SERVER, SpanKind.INTERNAL, SpanKind.CLIENT) == (
        request.kind,
        handler.kind,
        statement.kind,
    )
    attributes = dict(request.attributes or {})
    assert 0 < attributes.pop("orderly.round_trips")  # type: ignore[operator]
    assert attributes.pop("orderly.request_id")
    assert {
        "http.request.method": "GET",
        "http.route": "/api/v1/products/{product_id}",
        "http.response.status_code": 404,
        "url.path": PRODUCT,
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "orderly.problem": "not_found",
    } == attributes
    assert StatusCode.UNSET == request.status.status_code
    assert statement.attributes is not None
    assert ("postgresql", "product.FIND") == (
        statement.attributes["db.system.name"],
        statement.attributes["db.query.summary"],
    )
    logging.flush()
    (line,) = map(json.loads, log.getvalue().splitlines())
    assert TRACE == line["trace_id"]


def test_concurrent_requests_keep_their_traces_apart(
    settings: Settings, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    app = create_app(settings, tracer_provider=provider)
    traces = [f"{number:032x}" for number in range(1, 31)]

    async def send_all() -> None:
        parents = [f"00-{trace}-{PARENT}-01" for trace in traces]
        await asyncio.gather(*(send(app, PRODUCT, traceparent=parent) for parent in parents))

    asyncio.run(send_all())

    names: dict[str, set[str]] = {trace: set() for trace in traces}
    for span in exporter.get_finished_spans():
        names[format_trace_id(span.get_span_context().trace_id)].add(span.name)
    expected = {"get_product", "handlers.products.get_product", "product.FIND"}
    assert [expected] * 30 == list(names.values())


def test_spans_contain_no_parameters_bodies_addresses_or_query_strings(
    settings: Settings, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    app = create_app(settings, tracer_provider=provider)
    body = json.dumps({"email": "hunter2@example.com", "password": "hunter2" * 3}).encode()

    async def send_both() -> list[int]:
        return [
            await send(app, "/api/v1/auth/login", method="POST", body=body),
            await send(app, "/api/v1/products"),
        ]

    assert [401, 200] == asyncio.run(send_both())
    spans = exporter.get_finished_spans()
    assert {"login", "list_products"} <= {span.name for span in spans}
    text = " ".join(span.to_json() for span in spans)
    for secret in ("hunter2", "192.0.2.1", SIGNING_KEY, "runtime-password"):
        assert secret not in text


def test_a_failed_statement_and_a_5xx_are_errors(
    settings: Settings, provider: TracerProvider, exporter: InMemorySpanExporter, shop: str
) -> None:
    app = create_app(settings, tracer_provider=provider)
    run_statement(shop, "ALTER TABLE product RENAME TO renamed_product")
    try:
        status = asyncio.run(send(app, PRODUCT))
    finally:
        run_statement(shop, "ALTER TABLE renamed_product RENAME TO product")

    spans = by_name(exporter)
    assert 500 == status
    for name, kind in (("get_product", "500"), ("product.FIND", "42P01")):
        span = spans[name]
        assert StatusCode.ERROR == span.status.status_code
        assert span.attributes is not None
        assert kind == span.attributes["error.type"]
        assert not span.status.description


def test_without_a_traceparent_a_trace_begins_and_an_invalid_one_is_ignored(
    settings: Settings, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    app = create_app(settings, tracer_provider=provider)

    asyncio.run(send(app, PRODUCT))
    asyncio.run(send(app, PRODUCT, traceparent="00-zz-1-01"))

    requests = [span for span in exporter.get_finished_spans() if span.name == "get_product"]
    assert [None, None] == [span.parent for span in requests]
    assert 2 == len({span.get_span_context().trace_id for span in requests})


def test_health_checks_are_not_traced(
    settings: Settings, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    app = create_app(settings, tracer_provider=provider)

    assert 200 == asyncio.run(send(app, "/health/live"))

    assert () == exporter.get_finished_spans()


def test_a_trace_continues_in_what_the_request_sends_to_other_systems(
    provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    found: list[dict[str, str]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(dict(trace_context.headers()))
        await send({"type": "http.response.start", "status": 200, "headers": []})

    tracing = Tracing(provider, database_url="postgresql:///shop", routes={})

    traced = tracing.trace_requests(app)
    asyncio.run(send(traced, "/", traceparent=TRACEPARENT, tracestate="vendor=1"))

    (span,) = exporter.get_finished_spans()
    assert [{"traceparent": f"00-{TRACE}-{id_of(span)}-01", "tracestate": "vendor=1"}] == found
    assert {} == dict(trace_context.headers())


def test_without_traces_nothing_of_opentelemetry_runs(settings: Settings, log: io.BytesIO) -> None:
    app = create_app(replace(settings, traces=False))

    assert 404 == asyncio.run(send(app, PRODUCT, traceparent=TRACEPARENT))

    assert database.start_span is None
    logging.flush()
    assert b"trace_id" not in log.getvalue()


WITHOUT_EXTRA = """
import sys
sys.modules["opentelemetry"] = None
import orderly.factory, orderly.cli.main, orderly.background.worker
from orderly.settings import Settings, SettingsError
Settings.from_environment({})
try:
    Settings.from_environment({"ORDERLY_TRACES": "true"})
except SettingsError as error:
    print(error)
"""


def test_without_the_extra_orderly_works_and_traces_name_the_command_that_installs_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    error = "ORDERLY_TRACES: Needs OpenTelemetry: run `pip install 'orderly-api[otel]'`."
    assert (error, "") == (done.stdout.strip(), done.stderr)


def test_exporters_and_protocols_that_are_not_supported_are_errors() -> None:
    check_environment({"OTEL_TRACES_EXPORTER": "none"})
    with pytest.raises(SettingsError) as caught:
        check_environment({"OTEL_TRACES_EXPORTER": "jaeger", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})

    assert ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_TRACES_EXPORTER"] == sorted(
        name for name, _ in caught.value.errors
    )
