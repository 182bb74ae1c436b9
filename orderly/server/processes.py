"""Runs uvicorn on a socket, in this process or in several, until told to stop."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import parent_process
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from orderly.http import logging
from orderly.server.listen_socket import listen
from orderly.server.signals import Stopping
from orderly.settings import Settings

STOPPED, FAILED, FORCED = 0, 1, 130

# Longer than any request may take: a statement is given up after 10 seconds.
_LONGEST_GOODBYE_SECONDS = 20
# Longer than the 60 seconds for which common proxies keep a connection, so that they close it
# first; otherwise a request may be sent into a connection that is just being closed.
_KEEP_ALIVE_SECONDS = 65
_WORKER_PATIENCE_SECONDS = 15
_BACKLOG = 2048

_STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})


@dataclass(frozen=True, slots=True)
class Occasions:
    """What is to be done when: `serving`, once requests are answered; `waiting`, ever again.

    Both are called in the main thread. Serving ends when `waiting` returns False.
    """

    serving: Callable[[], None]
    waiting: Callable[[], bool]


def run(
    settings: Settings,
    bound: socket.socket,
    occasions: Occasions,
    stopping: Stopping,
    *,
    create: Callable[[Settings], ASGIApp] | None = None,
) -> int:
    """Serve on a socket until told to stop; return the exit status.

    Where this process is the only one, `create` may make another application than the shop's.

    The status is 0 when all requests that had begun were answered, 130 when a second Ctrl-C did
    not let them be, and 1 when serving is not possible or not any more. `settings` name the
    database, which is migrated.

    Raises:
        AddressError: another process has begun to listen on the address in the meantime.
    """
    listen(bound, _BACKLOG)
    options: dict[str, Any] = {
        "workers": settings.workers,
        "http": "orderly.server.http_protocol:Connection",
        "ws": "none",
        "lifespan": "on",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": settings.trusted_proxies,
        "backlog": _BACKLOG,
        "timeout_keep_alive": _KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": _LONGEST_GOODBYE_SECONDS,
        "timeout_worker_healthcheck": _WORKER_PATIENCE_SECONDS,
    }
    if settings.workers == 1:
        from orderly.factory import create_app  # noqa: PLC0415  # what takes longest to import

        app = _kept((create or create_app)(settings))
        server = _Server(uvicorn.Config(app, **options), occasions)
        return server.serve_until(stopping, bound)
    os.environ.update(settings.as_environment())
    config = uvicorn.Config("orderly.server.processes:worker_app", factory=True, **options)
    return _Supervisor(config, bound, occasions, stopping).status()


class _Server(uvicorn.Server):
    """The server within this process."""

    def __init__(self, config: uvicorn.Config, occasions: Occasions) -> None:
        super().__init__(config)
        self._occasions = occasions
        self._failed = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._occasions.serving()

    async def on_tick(self, counter: int) -> bool:
        if await super().on_tick(counter):
            return True
        self._failed = not self._occasions.waiting()
        return self._failed

    def serve_until(self, stopping: Stopping, bound: socket.socket) -> int:
        def stop() -> None:
            self.should_exit = True

        before, stopping.on_hang_up = stopping.on_hang_up, stop
        try:
            self.run(sockets=[bound])
        except KeyboardInterrupt:
            pass  # uvicorn raises the signal again that it was stopped by: it has done its part
        except SystemExit:
            return FAILED  # it has logged why it cannot start
        finally:
            stopping.on_hang_up = before
        if self.force_exit:
            return FORCED
        return FAILED if self._failed else STOPPED


class _Supervisor(Multiprocess):
    """Keeps as many server processes as are wanted, and replaces those that die."""

    def __init__(
        self,
        config: uvicorn.Config,
        bound: socket.socket,
        occasions: Occasions,
        stopping: Stopping,
    ) -> None:
        super().__init__(config, sockets=[bound])
        self._occasions = occasions
        self._stopping = stopping
        self._status = STOPPED

    def status(self) -> int:
        """Serve until told to stop; return the exit status."""
        self.run()
        if any(process.exitcode == STARTUP_FAILURE for process in self.processes):
            return FAILED
        return self._status

    def init_processes(self) -> None:
        super().init_processes()
        for process in self.processes:
            while not process.is_ready(timeout=1):
                if self.signal_queue or not process.process.is_alive():
                    return
        self._occasions.serving()

    def keep_subprocess_alive(self) -> None:
        before = [process.pid for process in self.processes]
        super().keep_subprocess_alive()
        for old, process in zip(before, self.processes, strict=True):
            if old != process.pid:
                structlog.get_logger("orderly").error("worker_replaced", died=old, pid=process.pid)
        if not self.should_exit.is_set() and not self._occasions.waiting():
            self._status = FAILED
            self.should_exit.set()

    def handle_hup(self) -> None:
        if self._stopping.has_terminal:
            self.should_exit.set()
        else:
            super().handle_hup()

    def restart_all(self) -> None:
        # It takes as long as all workers to start and to end, and uvicorn would hear of nothing
        # else meanwhile: whoever tells it to stop then means at once.
        if _STOP_SIGNALS.intersection(self.signal_queue):
            return
        before = {number: signal.signal(number, self._stop) for number in _STOP_SIGNALS}
        try:
            super().restart_all()
        finally:
            for number, one in before.items():
                signal.signal(number, one)

    def _stop(self, *_signal: object) -> None:
        self.should_exit.set()

    def terminate_all(self) -> None:
        for bound in self.sockets:
            bound.close()  # or clients would still be let in to wait for nobody
        super().terminate_all()

    def join_all(self) -> None:
        for process in self.processes:
            while process.process.is_alive():
                process.process.join(0.1)
                if signal.SIGINT in self.signal_queue:  # the second, since the first was taken off
                    self._status = FORCED
                    process.process.kill()


def worker_app() -> ASGIApp:
    """Return the application of a worker process, which ends when its supervisor does."""
    from orderly.factory import app_from_environment  # noqa: PLC0415  # see run()

    if hasattr(signal, "SIGHUP"):
        # Meant for the supervisor, but a terminal sends it to each process.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    settings = Settings.from_environment()
    logging.configure(settings.log_level, settings.log_format)
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    return _kept(app_from_environment())


def _kept(app: ASGIApp) -> ASGIApp:
    """Spare the garbage collector what has been made by now: most of what there is, and stays."""
    gc.collect()
    gc.freeze()
    return app


def _end_with_supervisor() -> None:
    # A worker that outlived a killed supervisor would keep the port from the next one.
    supervisor = parent_process()
    if supervisor is not None:
        supervisor.join()
        os._exit(FAILED)
