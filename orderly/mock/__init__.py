"""The contract without a shop: each operation answers an example of its own, for front-end teams.

Requests are judged as the shop judges them, by the same compiled contract; nothing is kept, so
which example it is to be is the client's to say, by the header `Prefer`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace

from connexion.resolver import Resolver
from starlette.types import ASGIApp

from handlers.cookies import SessionCookies
from orderly import __version__
from orderly.contract import document
from orderly.factory import connexion_app
from orderly.http import logging
from orderly.http.cors import allow_any_origin
from orderly.mock.credentials import SECURITY_MAP
from orderly.mock.handlers import example_handlers
from orderly.pages.routes import page_router
from orderly.server import processes
from orderly.server.listen_socket import open_socket, url_of
from orderly.server.signals import Stopping
from orderly.settings import Settings


def create_mock(settings: Settings) -> ASGIApp:
    """Return an application that answers the examples of the contract, from pages of any site."""
    cookies = SessionCookies(settings.cookie_secure)
    contract = document.published(document.load(settings.currency, cookie_names=cookies.names()))
    handlers = example_handlers(contract, cookies)
    return connexion_app(
        contract,
        other_routes=page_router(contract, check_ready=_ready, storefront=settings.storefront),
        middlewares=[allow_any_origin()],
        security_map=SECURITY_MAP,
        max_body_bytes=settings.max_body_bytes,
        resolver=Resolver(handlers.__getitem__),
    )


def serve(settings: Settings, *, say: Callable[[str], None]) -> int:
    """Serve the examples until told to stop; return the exit status.

    Raises:
        AddressError: the address cannot be listened on.
        KeyboardInterrupt: told to stop again while it was stopping.
    """
    settings = replace(settings, workers=1)
    logging.configure(settings.log_level, settings.log_format)
    stopping = Stopping()

    def announce() -> None:
        url = url_of(bound, settings.host)
        lines = [
            f"Orderly {__version__} answers the examples of its contract; there is no shop",
            f"  Documentation  {url}/docs",
            f"  API            {url}/api/v1",
            "  To choose      Prefer: example=insufficient_stock, or Prefer: code=404",
            "Ctrl-C stops it.",
        ]
        with suppress(OSError):  # nobody may be reading
            say("\n".join(lines))

    with stopping.heeded(), closing(open_socket(settings.host, settings.port)) as bound:
        occasions = processes.Occasions(serving=announce, waiting=lambda: True)
        return processes.run(settings, bound, occasions, stopping, create=create_mock)


def _ready() -> None:
    """The mock is always ready: it has no database."""
