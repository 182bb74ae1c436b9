"""What `orderly serve` does, in its order: address, database, schema, server; and back again.

The address comes first, since one that is taken should be told before any work is done. The
database stops last, when no request needs it any more.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from ipaddress import ip_address

from handlers.responses import BASE_PATH
from orderly import __version__
from orderly.http import logging
from orderly.server import demo as sandbox
from orderly.server import processes, provisioning
from orderly.server.listen_socket import open_socket, url_of
from orderly.server.signals import Stopping
from orderly.settings import Settings, SettingsError

Say = Callable[[str], None]


def serve(settings: Settings, *, demo: bool, reset: bool = False, say: Say) -> int:
    """Serve the shop until told to stop; return the exit status.

    `say` is given the few lines that a person who starts it wants to read.

    Raises:
        SettingsError: the settings ask for what is not safe, or cannot be kept.
        AddressError: the address cannot be listened on.
        EmbeddedDatabaseError: the embedded database cannot run.
        Unavailable: the database of the settings cannot be reached.
        KeyboardInterrupt: told to stop before the database ran, or again while it was stopping.
    """
    if demo:
        _refuse_public_demo(settings)
        settings = replace(settings, storefront=True)
    elif reset:
        raise SettingsError([("--reset", "is for --demo alone")])
    logging.configure(settings.log_level, settings.log_format)
    stopping = Stopping()
    with stopping.heeded(), closing(open_socket(settings.host, settings.port)) as bound:
        with provisioning.database_of(settings) as database:
            try:
                sign_ins = _prepare(settings, database, demo=demo, reset=reset)
                status = _serve_on(bound, database, settings, sign_ins, say, stopping)
            except KeyboardInterrupt:
                status = processes.STOPPED  # nothing was being served yet
        if status == processes.FORCED:
            # Python would wait for threads that still work for requests nobody waits for.
            sys.stdout.flush()
            os._exit(status)
    return status


def _serve_on(
    bound: socket.socket,
    database: provisioning.Provided,
    settings: Settings,
    sign_ins: list[str],
    say: Say,
    stopping: Stopping,
) -> int:
    embedded = settings.database_url is None
    home = settings.data_dir if embedded else "the database of ORDERLY_DATABASE_URL"
    settings = replace(settings, database_url=database.url)

    def announce() -> None:
        url = url_of(bound, settings.host)
        lines = [
            f"Orderly {__version__} serves the shop in {home}",
            f"  Documentation  {url}/docs",
            f"  API            {url}{BASE_PATH}",
            *sign_ins,
            *([f"  Storefront     {url}/examples/storefront/"] if settings.storefront else []),
            "Ctrl-C stops it.",
        ]
        with suppress(OSError):  # nobody may be reading
            say("\n".join(lines))

    with _worker(settings) as start_worker:

        def begin() -> None:
            start_worker()
            announce()

        occasions = processes.Occasions(serving=begin, waiting=database.keep_alive)
        return processes.run(settings, bound, occasions, stopping)


@contextmanager
def _worker(settings: Settings) -> Iterator[Callable[[], None]]:
    """Give a function that starts the background work, if this machine is to do it.

    It is done in this process: the one that serves or, where there are several, the one that
    watches over them, which needs a connection of its own for it.
    """
    if not settings.worker:
        yield lambda: None
        return
    from database import binding  # noqa: PLC0415  # not before the address is taken
    from orderly.background import worker  # noqa: PLC0415

    assert settings.database_url is not None  # noqa: S101
    binding.bind(settings.database_url, max_connections=1)
    try:
        with worker.in_thread() as start:
            yield start
    finally:
        binding.close()


def _prepare(
    settings: Settings, provided: provisioning.Provided, *, demo: bool, reset: bool
) -> list[str]:
    """Bring the database up to date, and fill it for a demo; return whom one can sign in as."""
    from database import binding, migrations  # noqa: PLC0415  # after the address is taken
    from services import process  # noqa: PLC0415

    process.bind(settings.configuration())
    binding.bind(provided.url, max_connections=1)
    try:
        if not demo:
            migrations.apply()
            provisioning.keep_currency(settings)
            if settings.database_url is None:
                sandbox.is_served_in_earnest(settings)
            return []
        sandbox.prepare(settings, provided, reset=reset)
        provisioning.keep_currency(settings)
        from services.demo import fill  # noqa: PLC0415

        return [
            f"  {'Sign in as' if first else '':<14} {account.email}  {account.password}"
            for first, account in zip((True, False), fill().accounts, strict=True)
        ]
    finally:
        binding.close()


def _refuse_public_demo(settings: Settings) -> None:
    """Keep a shop that others can reach from getting an administrator with a known password."""
    faults = []
    if settings.database_url is not None:
        faults.append(("ORDERLY_DATABASE_URL", "--demo is for the embedded database alone"))
    if not _is_loopback(settings.host):
        faults.append(("ORDERLY_HOST", "--demo is for this machine alone, such as 127.0.0.1"))
    if faults:
        raise SettingsError(faults)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
