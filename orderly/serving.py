"""Runs the shop until it is told to stop: its socket, its database, its server processes.

Order matters both ways. The socket is taken first, since a taken port should be told before any
work is done; the database stops last, when no request needs it any more.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from orderly import observability
from orderly.settings import Settings

# Longer than any request may take: a statement is given up after 10 seconds.
_LONGEST_GOODBYE_SECONDS = 20
# Longer than the 60 seconds for which common proxies keep a connection, so that they close it
# first; otherwise a request may be sent into a connection that is just being closed.
_KEEP_ALIVE_SECONDS = 65
_WORKER_PATIENCE_SECONDS = 15
_BACKLOG = 2048


class AddressError(Exception):
    """The address cannot be listened on; the message says which and why."""


def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address. Nobody can connect to it yet.

    Raises:
        AddressError: the address is in use, not this machine's, or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise AddressError(f"cannot listen on {host}: {error.strerror}") from error
    try:
        if os.name == "posix":
            # On Windows this would let several servers share a port.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.set_inheritable(True)
    except OSError as error:
        bound.close()
        raise AddressError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return bound


def run(
    settings: Settings, bound: socket.socket, announce: Callable[[], None], stopping: Stopping
) -> int:
    """Serve on a socket until told to stop; return the exit status.

    `settings` name the database, which answers and is migrated. `announce` is called once, when
    requests are answered.

    Raises:
        AddressError: another process has begun to listen on the address in the meantime.
    """
    try:
        bound.listen(_BACKLOG)
    except OSError as error:
        raise AddressError(f"cannot listen: {error.strerror}") from error
    options: dict[str, Any] = {
        "workers": settings.workers,
        "http": "httptools",
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

        config = uvicorn.Config(create_app(settings), **options)
        return _Server(config, announce).serve_until(stopping, bound)
    os.environ.update(settings.as_environment())
    config = uvicorn.Config("orderly.serving:worker_app", factory=True, **options)
    return _Supervisor(config, bound, announce).serve_until(stopping)


class Stopping:
    """How this process is asked to stop, from its first moment to its last.

    SIGTERM and Ctrl-C are met with KeyboardInterrupt, which unwinds what has been started, until
    a server has taken over these signals. SIGHUP means the same where the terminal is gone that
    the process was started from. Elsewhere it asks for new workers; a process that is alone has
    none, and goes on.
    """

    def __init__(self) -> None:
        self.has_terminal = sys.stdin is not None and sys.stdin.isatty()
        self.on_hang_up: Callable[[], None] = _interrupt

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Answer the signals while the block runs."""
        handlers: dict[int, Callable[[int, FrameType | None], None]] = {
            signal.SIGINT: _interrupt_by,
            signal.SIGTERM: _interrupt_by,
        }
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            handlers[signal.SIGHUP] = self._hang_up
        before = {one: signal.signal(one, handler) for one, handler in handlers.items()}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def _hang_up(self, _number: int, _frame: FrameType | None) -> None:
        if self.has_terminal:
            self.on_hang_up()


def _interrupt() -> None:
    raise KeyboardInterrupt


def _interrupt_by(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class _Server(uvicorn.Server):
    """The server within this process."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._announce()

    def serve_until(self, stopping: Stopping, bound: socket.socket) -> int:
        def stop() -> None:
            self.should_exit = True

        stopping.on_hang_up = stop
        try:
            self.run(sockets=[bound])
        except KeyboardInterrupt:
            # uvicorn raises the signal again that it was stopped by: it has done what was asked.
            pass
        except SystemExit:
            return 1  # it could not start, and has logged why
        finally:
            stopping.on_hang_up = _interrupt
        return 130 if self.force_exit else 0


class _Supervisor(Multiprocess):
    """Keeps as many server processes as wanted, and replaces those that die."""

    def __init__(
        self, config: uvicorn.Config, bound: socket.socket, announce: Callable[[], None]
    ) -> None:
        super().__init__(config, sockets=[bound])
        self._announce = announce
        self._stopping: Stopping | None = None
        self._forced = False

    def serve_until(self, stopping: Stopping) -> int:
        self._stopping = stopping
        self.run()
        if self._forced:
            return 130
        failed = any(process.exitcode == STARTUP_FAILURE for process in self.processes)
        return 1 if failed else 0

    def init_processes(self) -> None:
        super().init_processes()
        for process in self.processes:
            while not process.is_ready(timeout=1):
                if self.signal_queue or not process.process.is_alive():
                    return
        self._announce()

    def handle_hup(self) -> None:
        assert self._stopping is not None  # noqa: S101  # run() is called by serve_until() alone
        if self._stopping.has_terminal:
            self.should_exit.set()
        else:
            super().handle_hup()

    def join_all(self) -> None:
        """Wait for the workers to finish; a second Ctrl-C ends them at once."""
        for process in self.processes:
            while process.process.is_alive():
                process.process.join(0.1)
                if signal.SIGINT in self.signal_queue:
                    self._forced = True
                    process.process.kill()


def worker_app() -> ASGIApp:
    """Return the application of a worker process, which ends when its supervisor does."""
    from orderly.factory import app_from_environment  # noqa: PLC0415  # see run()

    if hasattr(signal, "SIGHUP"):
        # Meant for the supervisor, but sent by a terminal to each process.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    settings = Settings.from_environment()
    observability.configure(settings.log_level, settings.log_format)
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    return app_from_environment()


def _end_with_supervisor() -> None:
    # A worker that outlived a killed supervisor would keep its port from the next one.
    supervisor = parent_process()
    if supervisor is not None:
        supervisor.join()
        os._exit(1)
