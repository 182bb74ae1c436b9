"""`orderly mock`: serves the examples of the contract, to develop front ends without a backend.

Requests are checked by the same compiled contract as in the shop. The mock stores nothing, so the
client chooses the example by the header `Prefer`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial

from connexion.resolver import Resolver
from starlette.types import ASGIApp

from handlers.cookies import SessionCookies
from handlers.responses import BASE_PATH
from orderly import __version__
from orderly.contract import document
from orderly.contract.application import without_document_validation
from orderly.factory import connexion_app
from orderly.http import logging
from orderly.http.cors import allow_any_origin
from orderly.http.readiness import Readiness
from orderly.http.request_log import RequestLog
from orderly.mock.credentials import SECURITY_MAP
from orderly.mock.handlers import example_handlers
from orderly.pages.routes import page_router
from orderly.server import processes
from orderly.server.listen_socket import open_socket, url_of
from orderly.server.server_hooks import ServerHooks
from orderly.server.signals import StopSignals
from orderly.settings import Settings


def create_mock(settings: Settings) -> ASGIApp:
    """Return an application that responds with the examples of the contract."""
    cookies = SessionCookies(settings.cookie_secure)
    contract = document.published(document.load(settings.currency, cookie_names=cookies.names()))
    handlers = example_handlers(contract, cookies)
    with without_document_validation():
        return connexion_app(
            contract,
            other_routes=page_router(
                contract, readiness=Readiness(_ready), storefront=settings.storefront
            ),
            allowed_hosts=settings.allowed_host_names,
            middlewares=[allow_any_origin()],
            request_log=partial(
                RequestLog,
                slow_seconds=settings.slow_request_seconds,
                sample_rate=settings.log_sample_rate,
            ),
            security_map=SECURITY_MAP,
            resolver=Resolver(handlers.__getitem__),
        )


def serve(settings: Settings, *, output: Callable[[str], None]) -> int:
    """Serve the mock until a stop signal arrives; return the exit status.

    Raises:
        AddressError: the server cannot listen on the address.
        KeyboardInterrupt: a second stop signal arrived during the shutdown.
    """
    settings = replace(settings, workers=1)
    logging.configure_for(settings)
    stop_signals = StopSignals()

    def announce() -> None:
        url = url_of(server_socket, settings.host)
        lines = [
            f"Orderly {__version__} serves the examples of its contract, without a database",
            f"  Documentation  {url}/docs",
            f"  API            {url}{BASE_PATH}",
            "  Examples       Prefer: example=insufficient_stock, or Prefer: code=404",
            "Press Ctrl-C to stop.",
        ]
        with suppress(OSError):  # standard output may be closed
            output("\n".join(lines))

    with (
        stop_signals.installed(),
        closing(open_socket(settings.host, settings.port)) as server_socket,
    ):
        hooks = ServerHooks(on_ready=announce, on_tick=lambda: True)
        return processes.run(settings, server_socket, hooks, stop_signals, create=create_mock)


def _ready() -> None:
    """Do nothing: without a database, the mock is always ready."""
