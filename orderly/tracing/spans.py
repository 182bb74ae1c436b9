"""The spans of a trace: the request, its handler, and each SQL statement.

Attributes follow OpenTelemetry's semantic conventions for HTTP servers and databases. Traces are
often exported to other networks. So no span has a query string, a client's network address, a user
or a value of an SQL parameter.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import propagate
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.semconv.attributes import (
    code_attributes,
    db_attributes,
    error_attributes,
    http_attributes,
    network_attributes,
    server_attributes,
    url_attributes,
)
from opentelemetry.trace import (
    Span,
    SpanKind,
    StatusCode,
    format_trace_id,
    get_current_span,
    set_span_in_context,
)
from psycopg2.extensions import parse_dsn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain import trace_context
from orderly import __version__
from orderly.contract.document import operations
from orderly.http.server_state import TRACE_ID
from orderly.tracing.setup import stop_provider

Run = Callable[[Callable[[], Any]], Awaitable[Any]]

_INTERNAL_SERVER_ERROR = 500
# Not traced: load balancers check the health of a server every few seconds.
_HEALTH_CHECKS = "/health/"


class Tracing:
    """Creates the spans of one process.

    `routes` maps operation ids to path templates, such as `/api/v1/orders/{order_id}`.
    """

    def __init__(
        self, provider: TracerProvider, *, database_url: str, routes: Mapping[str, str]
    ) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("orderly", __version__)
        self._routes = routes
        self._database = _database_attributes(database_url)

    def trace_requests(self, app: ASGIApp) -> ASGIApp:
        """Return ASGI middleware that continues the trace of the client, or begins one."""
        return partial(self._trace_request, app)

    def trace_handlers(self, run: Run) -> Run:
        """Return a function that runs a handler as `run` does, in a span of its own."""

        async def run_in_span(function: Callable[[], Any]) -> Any:
            if not get_current_span().is_recording():
                return await run(function)
            name = _name_of(function)
            with self._tracer.start_as_current_span(
                name,
                attributes={code_attributes.CODE_FUNCTION_NAME: name},
                record_exception=False,
                set_status_on_exception=False,
            ):
                return await run(function)

        return run_in_span

    def start_statement(self, name: str) -> StatementSpan | None:
        """Start the span of an SQL statement, if it is part of a request that is recorded."""
        if not get_current_span().is_recording():
            return None
        attributes = {**self._database, db_attributes.DB_QUERY_SUMMARY: name}
        return StatementSpan(
            self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)
        )

    def stop(self) -> None:
        """Export the remaining spans, and stop."""
        stop_provider(self._provider)

    async def _trace_request(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_HEALTH_CHECKS):
            await app(scope, receive, send)
            return
        parent = propagate.extract(
            {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        )
        span = self._tracer.start_span(
            scope["method"], parent, kind=SpanKind.SERVER, attributes=_request_attributes(scope)
        )
        context = set_span_in_context(span, parent)
        scope[TRACE_ID] = format_trace_id(span.get_span_context().trace_id)
        headers: dict[str, str] = {}
        propagate.inject(headers, context)

        async def send_and_record(message: Message) -> None:
            if message["type"] == "http.response.start":
                _record_status(span, message["status"])
            await send(message)

        token, headers_token = otel_context.attach(context), trace_context.current.set(headers)
        try:
            await app(scope, receive, send_and_record)
        except Exception as error:
            _record_error(span, type(error).__qualname__)
            raise
        finally:
            otel_context.detach(token)
            trace_context.current.reset(headers_token)
            self._describe(span, scope.get("orderly", {}))
            span.end()

    def _describe(self, span: Span, request_facts: Mapping[str, Any]) -> None:
        """Add the attributes that are known only after the request was processed."""
        operation = request_facts.get("operation_id")
        if operation is not None:
            span.update_name(operation)
            if operation in self._routes:
                span.set_attribute(http_attributes.HTTP_ROUTE, self._routes[operation])
        for name in ("request_id", "problem"):
            if request_facts.get(name) is not None:
                span.set_attribute(f"orderly.{name}", request_facts[name])
        if "database" in request_facts:
            span.set_attribute("orderly.round_trips", request_facts["database"].round_trips)


class StatementSpan:
    """The span of an SQL statement."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def end(self, error: BaseException | None) -> None:
        """End the span; `error` is the exception that the statement has raised, if any."""
        if error is not None:
            sqlstate = getattr(getattr(error, "orig", None), "pgcode", None)
            if sqlstate is not None:
                self._span.set_attribute(db_attributes.DB_RESPONSE_STATUS_CODE, sqlstate)
            _record_error(self._span, sqlstate or type(error).__qualname__)
        self._span.end()


def routes_of(contract: Mapping[str, Any], base_path: str) -> dict[str, str]:
    """Return the path template of each operation of a contract."""
    return {
        operation["operationId"].rpartition(".")[2]: base_path + path
        for path, _, operation in operations(contract)
    }


def _request_attributes(scope: Scope) -> dict[str, str]:
    return {
        http_attributes.HTTP_REQUEST_METHOD: scope["method"],
        url_attributes.URL_PATH: scope["path"],
        url_attributes.URL_SCHEME: scope["scheme"],
        network_attributes.NETWORK_PROTOCOL_VERSION: scope["http_version"],
    }


def _database_attributes(url: str) -> dict[str, str | int]:
    parameters = parse_dsn(url)
    attributes: dict[str, str | int] = {
        db_attributes.DB_SYSTEM_NAME: db_attributes.DbSystemNameValues.POSTGRESQL.value
    }
    if "dbname" in parameters:
        attributes[db_attributes.DB_NAMESPACE] = parameters["dbname"]
    if "host" in parameters:
        attributes[server_attributes.SERVER_ADDRESS] = parameters["host"]
    return attributes


def _record_status(span: Span, status: int) -> None:
    span.set_attribute(http_attributes.HTTP_RESPONSE_STATUS_CODE, status)
    if status >= _INTERNAL_SERVER_ERROR:
        _record_error(span, str(status))


def _record_error(span: Span, kind: str) -> None:
    # Without the error message: PostgreSQL's messages can contain values of rows.
    span.set_status(StatusCode.ERROR)
    span.set_attribute(error_attributes.ERROR_TYPE, kind)


def _name_of(function: Callable[[], Any]) -> str:
    while isinstance(function, partial):
        function = function.func
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"
