"""Creates the application: the only module that connects all layers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from connexion import ConnexionMiddleware
from starlette.routing import Router
from starlette.types import ASGIApp

from database import binding
from database.greenlets import GreenletRunner, ThreadRunner
from handlers.cookies import SessionCookies
from handlers.responses import BASE_PATH
from orderly.background.refresh import BackgroundRefresh
from orderly.contract import document
from orderly.contract.application import CompiledApp, without_document_validation
from orderly.contract.routing import CompiledRoutingMiddleware
from orderly.http.admission import admission
from orderly.http.authentication import SECURITY_MAP
from orderly.http.cors import allow_origins
from orderly.http.error_responses import ErrorResponses
from orderly.http.load_shedding import load_shedding
from orderly.http.readiness import Readiness
from orderly.http.request_limit import RequestCounts, request_limit
from orderly.http.request_log import RequestLog
from orderly.http.server_metrics import ServerMetrics
from orderly.http.shared_cache import ResponseStore, shared_cache
from orderly.http.slots import Slots
from orderly.mail_setup import mail_setup
from orderly.pages.routes import page_router
from orderly.payment_providers import payment_providers
from orderly.settings import Settings
from services import process

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from orderly.tracing.spans import Tracing
    from services.demo import Account


def create_app(settings: Settings, *, tracer_provider: TracerProvider | None = None) -> ASGIApp:
    """Return the ASGI application of one process. The database is bound but not yet connected.

    With `settings.traces`, spans are created by `tracer_provider`, or by a new provider that the
    standard environment variables OTEL_... configure.

    Raises:
        ValueError: the settings have no database URL.
        DocumentError: the contract is invalid.
        TypeError: a handler's parameters do not match its operation.
    """
    if settings.database_url is None:
        raise ValueError("create_app needs settings with a database URL")
    process.bind(settings.configuration(), payment_providers(settings), mail_setup(settings))
    cookie_names = SessionCookies(settings.cookie_secure).names()
    contract = document.load(settings.currency, cookie_names=cookie_names)
    tracing = _tracing(settings, contract, tracer_provider) if settings.traces else None
    # One connection for each concurrent request, one for the background refresh, which must never
    # wait for the requests, and one for the metrics, if they are enabled.
    binding.bind(
        settings.database_url,
        max_connections=settings.threads + (1 if settings.metrics_dir is None else 2),
        program="orderly server",
        slow_seconds=settings.slow_statement_seconds,
        **settings.time_limits,
        start_span=None if tracing is None else tracing.start_statement,
    )
    threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="worker")
    runner: GreenletRunner | ThreadRunner
    runner = ThreadRunner(threads) if settings.handlers == "threads" else GreenletRunner(threads)
    run = runner.run if tracing is None else tracing.trace_handlers(runner.run)
    slots = Slots(run, settings.threads, target=settings.queue_target_ms / 1000)
    directory = settings.metrics_dir
    readiness = Readiness()
    store = ResponseStore(settings.catalogue_cache_seconds)
    counts = RequestCounts(settings.request_limit)
    metrics = None
    if directory is not None:
        metrics = ServerMetrics(directory, slots, store, counts, readiness)

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        refresh = BackgroundRefresh(settings, run_in_thread=threads.submit)
        await asyncio.to_thread(refresh.start)
        async with nullcontext() if metrics is None else metrics.reporting():
            yield
        await asyncio.to_thread(refresh.stop)
        await runner.close()
        threads.shutdown()
        binding.close()
        if tracing is not None:
            await asyncio.to_thread(tracing.stop)

    def request_log(app: ASGIApp) -> ASGIApp:
        log = RequestLog(
            app,
            slow_seconds=settings.slow_request_seconds,
            sample_rate=settings.log_sample_rate,
            metrics=None if metrics is None else metrics.requests,
        )
        return log if tracing is None else tracing.trace_requests(log)

    # The headers of CORS are added to refusals too.
    middlewares: list[Callable[[ASGIApp], ASGIApp]] = []
    if settings.allowed_origins is not None:
        middlewares.append(allow_origins(settings.allowed_origins))
    if settings.request_limit:
        middlewares.append(request_limit(counts))
    router = page_router(
        document.published(contract, test_system=settings.test_system),
        readiness=readiness,
        storefront=settings.storefront,
        demo_customer=_demo_customer() if settings.demo else None,
        admin_page=settings.admin_page,
        sandbox=settings.sandbox_payments,
        sandbox_mail=settings.sandbox_mail,
    )
    router.lifespan_context = lifespan
    with without_document_validation():
        return connexion_app(
            contract,
            other_routes=router,
            allowed_hosts=settings.allowed_host_names,
            middlewares=middlewares,
            cache=shared_cache(store, cookie_names.values()) if store.seconds else None,
            request_log=request_log,
            slots=slots,
            validate_responses=settings.validate_responses,
        )


def _tracing(
    settings: Settings, contract: Mapping[str, Any], provider: TracerProvider | None
) -> Tracing:
    # OpenTelemetry is an optional dependency.
    from orderly.tracing.setup import start_provider  # noqa: PLC0415
    from orderly.tracing.spans import Tracing, routes_of  # noqa: PLC0415

    assert settings.database_url is not None  # noqa: S101
    return Tracing(
        provider or start_provider(),
        database_url=settings.database_url,
        routes=routes_of(contract, BASE_PATH),
    )


def _demo_customer() -> Account:
    from services.demo import CUSTOMER  # noqa: PLC0415  # only a demo needs its data

    return CUSTOMER


def connexion_app(
    contract: dict[str, Any],
    *,
    other_routes: Router,
    allowed_hosts: Sequence[str] = (),
    middlewares: Sequence[Callable[[ASGIApp], ASGIApp]] = (),
    cache: Callable[[ASGIApp], ASGIApp] | None = None,
    request_log: Callable[[ASGIApp], ASGIApp] = RequestLog,
    security_map: Mapping[str, Any] = SECURITY_MAP,
    slots: Slots | None = None,
    **options: Any,
) -> ASGIApp:
    """Return Connexion's middleware chain with the compiled operations of a contract.

    `other_routes` handles requests outside the contract's base path, and the lifespan events. If
    `allowed_hosts` is not empty, requests for other hosts are refused. `middlewares` handle all
    requests and responses, including errors; only the request log is outside of them. `cache`
    responds before routing, or passes a request on. `slots` limit how many handlers run at the same
    time. `options` are passed to `CompiledAPI`.
    """
    chain = ConnexionMiddleware(
        CompiledApp(other_routes),
        middlewares=[
            request_log,
            *middlewares,
            ErrorResponses,
            admission(allowed_hosts),
            *([cache] if cache is not None else []),
            CompiledRoutingMiddleware,
            *([load_shedding(slots)] if slots is not None else []),
        ],
        security_map=dict(security_map),
    )
    chain.add_api(contract, slots=slots, **options)
    return chain  # type: ignore[no-any-return]


def app_from_environment() -> ASGIApp:
    """Return the application with settings from the environment; each server process calls this."""
    return create_app(Settings.from_environment())
