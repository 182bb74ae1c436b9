"""Puts the application together: the one place that knows all the rooms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
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
from database.greenlets import Bridge
from domain.errors import DomainError
from handlers.cookies import SessionCookies
from orderly.background.refresh import Watch
from orderly.contract import document
from orderly.contract.operations import CompiledApp
from orderly.contract.routing import CompiledRoutingMiddleware
from orderly.http import problems
from orderly.http.authentication import SECURITY_MAP
from orderly.http.cors import allow_origins
from orderly.http.logging import RequestLog
from orderly.pages.routes import page_router
from orderly.settings import Settings
from services import process


def create_app(settings: Settings) -> ASGIApp:
    """Return the ASGI application of one process, its database bound but not yet connected.

    Raises:
        ValueError: the settings name no database.
        DocumentError: the contract is not well-formed.
        TypeError: a handler does not take what its operation gives.
    """
    if settings.database_url is None:
        raise ValueError("an application needs the URL of a database that runs")
    process.bind(settings.configuration())
    # One for each request at a time, and one for the watch, which never waits for those.
    binding.bind(settings.database_url, max_connections=settings.threads + 1)
    threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="aside")
    bridge = Bridge(settings.threads, threads)

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        watch = Watch(settings, run_aside=threads.submit)
        await asyncio.to_thread(watch.start)
        yield
        await asyncio.to_thread(watch.stop)
        await bridge.close()
        threads.shutdown()
        binding.close()

    cookie_names = SessionCookies(settings.cookie_secure).names()
    contract = document.load(settings.currency, cookie_names=cookie_names)
    origins = settings.allowed_origins
    return compiled_app(
        contract,
        beside=page_router(document.published(contract), storefront=settings.storefront),
        lifespan=lifespan,
        front=[allow_origins(origins)] if origins else [],
        run=bridge.run,
        max_body_bytes=settings.max_body_bytes,
        validate_responses=settings.validate_responses,
    )


def compiled_app(
    contract: dict[str, Any],
    *,
    beside: ASGIApp,
    lifespan: Any = None,
    front: Sequence[Callable[[ASGIApp], ASGIApp]] = (),
    app: Callable[[ASGIApp], CompiledApp] = CompiledApp,
    security_map: Mapping[str, Any] = SECURITY_MAP,
    **options: Any,
) -> ASGIApp:
    """Return Connexion's middleware chain around a contract's compiled operations.

    `beside` takes the requests outside the contract's base path; `front` sees each request and
    answer, errors included, before all but the log; `options` are those of `CompiledAPI`.
    """
    chain = ConnexionMiddleware(
        app(beside),
        lifespan=lifespan,
        middlewares=[
            ServerErrorMiddleware,
            RequestLog,
            *front,
            ExceptionMiddleware,
            CompiledRoutingMiddleware,
            SecurityMiddleware,
            LifespanMiddleware,
        ],
        security_map=dict(security_map),
    )
    chain.add_error_handler(DomainError, problems.on_domain_error)
    for kind in (HTTPException, ProblemException):  # Connexion has handlers of its own for both
        chain.add_error_handler(kind, problems.on_http_error)
    chain.add_error_handler(Exception, problems.on_unexpected_error)
    chain.add_api(contract, **options)
    return chain  # type: ignore[no-any-return]


def app_from_environment() -> ASGIApp:
    """Return the application as the environment describes it: each worker process calls this."""
    return create_app(Settings.from_environment())
