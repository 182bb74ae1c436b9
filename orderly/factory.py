"""Creates the application: the only module that connects all layers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from connexion import ConnexionMiddleware
from connexion.exceptions import ProblemException
from connexion.middleware.exceptions import ExceptionMiddleware
from connexion.middleware.lifespan import LifespanMiddleware
from connexion.middleware.security import SecurityMiddleware
from connexion.middleware.server_error import ServerErrorMiddleware
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from database import binding
from database.greenlets import GreenletRunner, ThreadRunner
from domain.errors import DomainError
from handlers.cookies import SessionCookies
from orderly.background.refresh import BackgroundRefresh
from orderly.contract import document
from orderly.contract.application import CompiledApp
from orderly.contract.routing import CompiledRoutingMiddleware
from orderly.http import problems
from orderly.http.admission import admission
from orderly.http.authentication import SECURITY_MAP
from orderly.http.cors import allow_origins
from orderly.http.request_log import RequestLog
from orderly.pages.routes import page_router
from orderly.settings import Settings
from services import process


def create_app(settings: Settings) -> ASGIApp:
    """Return the ASGI application of one process. The database is bound but not yet connected.

    Raises:
        ValueError: the settings have no database URL.
        DocumentError: the contract is invalid.
        TypeError: a handler's parameters do not match its operation.
    """
    if settings.database_url is None:
        raise ValueError("create_app needs settings with a database URL")
    process.bind(settings.configuration())
    # One connection for each concurrent request, and one for the background refresh, which must
    # never wait for the requests.
    binding.bind(
        settings.database_url,
        max_connections=settings.threads + 1,
        program="orderly server",
        slow_seconds=settings.slow_statement_seconds,
    )
    threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="worker")
    runner: GreenletRunner | ThreadRunner
    if settings.handlers == "threads":
        runner = ThreadRunner(threads)
    else:
        runner = GreenletRunner(settings.threads, threads)

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        refresh = BackgroundRefresh(settings, run_in_thread=threads.submit)
        await asyncio.to_thread(refresh.start)
        yield
        await asyncio.to_thread(refresh.stop)
        await runner.close()
        threads.shutdown()
        binding.close()

    cookie_names = SessionCookies(settings.cookie_secure).names()
    contract = document.load(settings.currency, cookie_names=cookie_names)
    origins = settings.allowed_origins
    return connexion_app(
        contract,
        other_routes=page_router(document.published(contract), storefront=settings.storefront),
        allowed_hosts=settings.allowed_host_names,
        lifespan=lifespan,
        middlewares=[allow_origins(origins)] if origins else [],
        request_log=partial(
            RequestLog,
            slow_seconds=settings.slow_request_seconds,
            sample_rate=settings.log_sample_rate,
        ),
        run=runner.run,
        validate_responses=settings.validate_responses,
    )


def connexion_app(
    contract: dict[str, Any],
    *,
    other_routes: ASGIApp,
    allowed_hosts: Sequence[str] = (),
    lifespan: Any = None,
    middlewares: Sequence[Callable[[ASGIApp], ASGIApp]] = (),
    request_log: Callable[[ASGIApp], ASGIApp] = RequestLog,
    security_map: Mapping[str, Any] = SECURITY_MAP,
    **options: Any,
) -> ASGIApp:
    """Return Connexion's middleware chain with the compiled operations of a contract.

    `other_routes` handles requests outside the contract's base path. Requests to other hosts than
    `allowed_hosts`, if there are any, are refused. `middlewares` handle all
    requests and responses, including errors; only the request log is outside of them. `options`
    are passed to `CompiledAPI`.
    """
    chain = ConnexionMiddleware(
        CompiledApp(other_routes),
        lifespan=lifespan,
        middlewares=[
            ServerErrorMiddleware,
            request_log,
            *middlewares,
            ExceptionMiddleware,
            admission(allowed_hosts),
            CompiledRoutingMiddleware,
            SecurityMiddleware,
            LifespanMiddleware,
        ],
        security_map=dict(security_map),
    )
    chain.add_error_handler(DomainError, problems.on_domain_error)
    for kind in (HTTPException, ProblemException):  # Connexion has a handler for each: replace both
        chain.add_error_handler(kind, problems.on_http_error)
    chain.add_error_handler(Exception, problems.on_unexpected_error)
    chain.add_api(contract, **options)
    return chain  # type: ignore[no-any-return]


def app_from_environment() -> ASGIApp:
    """Return the application with settings from the environment; each server process calls this."""
    return create_app(Settings.from_environment())
