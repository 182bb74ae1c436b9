"""Runs uvicorn on a socket until a stop signal arrives, in one process or in several."""

from __future__ import annotations

import gc
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from multiprocessing import parent_process
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from orderly.http import logging
from orderly.http.security_headers import server_headers
from orderly.server.connection_guard import ConnectionGuard
from orderly.server.http_protocol import HttpProtocol
from orderly.server.listen_socket import accepting_sockets, listen
from orderly.server.open_files import allow_open_files
from orderly.server.server_hooks import FAILED, FORCED, STOPPED, ServerHooks
from orderly.server.signals import StopSignals
from orderly.server.supervisor import DRAIN, Supervisor, log_drain
from orderly.settings import Settings

# Longer than a request takes: a SQL statement is cancelled after 10 seconds.
_GRACEFUL_SHUTDOWN_SECONDS = 20
# Longer than the 60 seconds after which common proxies close an idle connection. So the proxy
# closes it first, and never sends a request on a connection that the server is closing.
_KEEP_ALIVE_SECONDS = 65
_WORKER_HEALTHCHECK_SECONDS = 15
_BACKLOG = 2048


def run(
    settings: Settings,
    bound: socket.socket,
    hooks: ServerHooks,
    stop_signals: StopSignals,
    *,
    create: Callable[[Settings], ASGIApp] | None = None,
) -> int:
    """Serve on a bound socket until a stop signal arrives; return the exit status.

    The settings must name a database, which must be migrated. `create` makes another application
    than the shop's, if `settings.workers` is 1.

    Raises:
        SettingsError: the system does not allow as many connections.
        AddressError: another process has started to listen on the address.
    """
    allow_open_files(settings)
    listen(bound, _BACKLOG)
    sockets = accepting_sockets(bound)
    options = _uvicorn_options(settings)
    if settings.workers == 1:
        from orderly.factory import create_app  # noqa: PLC0415  # slow to import

        app = _freeze((create or create_app)(settings))
        server = _Server(uvicorn.Config(app, **options), hooks, settings.drain_seconds)
        return server.run_until_stopped(stop_signals, sockets)
    _replace_environment(settings.environment_of_child())
    config = uvicorn.Config("orderly.server.processes:worker_app", factory=True, **options)
    supervisor = Supervisor(config, sockets, hooks, stop_signals, settings.drain_seconds)
    return supervisor.run_until_stopped()


def _replace_environment(environment: Mapping[str, str]) -> None:
    # Server processes inherit it.
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)


def _uvicorn_options(settings: Settings) -> dict[str, Any]:
    return {
        "workers": settings.workers,
        "http": partial(HttpProtocol, guard=_guard(settings)),
        "ws": "none",
        "lifespan": "on",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "headers": server_headers(https_only=settings.cookie_secure),
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": settings.trusted_proxies,
        "backlog": _BACKLOG,
        "timeout_keep_alive": _KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": _GRACEFUL_SHUTDOWN_SECONDS,
        "timeout_worker_healthcheck": _WORKER_HEALTHCHECK_SECONDS,
    }


def _guard(settings: Settings) -> ConnectionGuard:
    # Each server process gets a copy of it.
    return ConnectionGuard(
        max_connections=settings.max_connections,
        head_seconds=settings.request_head_seconds,
        transfer_seconds=settings.transfer_seconds,
    )


class _Server(uvicorn.Server):
    """The server in this process, without a supervisor."""

    def __init__(self, config: uvicorn.Config, hooks: ServerHooks, drain_seconds: int) -> None:
        super().__init__(config)
        self._hooks = hooks
        self._failed = False
        self._drain_seconds = drain_seconds
        self._drained_at = math.inf

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._hooks.on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; after the first SIGTERM only after the drain, in which readiness is 503."""
        _be_not_ready()
        if sig == signal.SIGTERM and self._drain_seconds and self._drained_at == math.inf:
            self._drained_at = time.monotonic() + self._drain_seconds
            log_drain(self._drain_seconds)
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if await super().on_tick(counter) or time.monotonic() >= self._drained_at:
            return True
        self._failed = not self._hooks.on_tick()
        return self._failed

    def run_until_stopped(self, stop_signals: StopSignals, sockets: list[socket.socket]) -> int:
        def stop() -> None:
            _be_not_ready()
            self.should_exit = True

        previous, stop_signals.on_hang_up = stop_signals.on_hang_up, stop
        try:
            self.run(sockets=sockets)
        except KeyboardInterrupt:
            pass  # after a graceful shutdown, uvicorn raises the signal that caused it again
        except SystemExit:
            return FAILED  # the start failed, and uvicorn has logged why
        finally:
            stop_signals.on_hang_up = previous
        if self.force_exit:
            return FORCED
        return FAILED if self._failed else STOPPED


def worker_app() -> ASGIApp:
    """Return the application of a server process that runs under a supervisor."""
    from orderly.factory import app_from_environment  # noqa: PLC0415  # see run()

    if hasattr(signal, "SIGHUP"):
        # Only the supervisor handles SIGHUP, but a closed terminal sends it to every process.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if DRAIN is not None:
        signal.signal(DRAIN, _be_not_ready)
    settings = Settings.from_environment()
    logging.configure_for(settings)
    threading.Thread(target=_exit_with_supervisor, daemon=True).start()
    return _freeze(app_from_environment())


def _be_not_ready(*_signal: object) -> None:
    from services import process  # noqa: PLC0415  # imported when the application was created

    process.stop()


def _freeze(app: ASGIApp) -> ASGIApp:
    """Exclude all existing objects from garbage collection (`gc.freeze`): most live for ever."""
    gc.collect()
    gc.freeze()
    return app


def _exit_with_supervisor() -> None:
    # If the supervisor is killed, a server process that survives would keep the port in use.
    supervisor = parent_process()
    if supervisor is not None:
        supervisor.join()
        logging.flush()
        os._exit(FAILED)
