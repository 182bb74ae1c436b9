"""Supervises several server processes: replaces those that die, and all of them on SIGHUP.

If a process cannot start, or a hook reports a failure, the exit status is `FAILED`.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from orderly.server.server_hooks import FAILED, FORCED, STOPPED, ServerHooks
from orderly.server.signals import StopSignals, installed

_STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})
# The signal after which the readiness of a server process is 503. Windows has none.
DRAIN: signal.Signals | None = getattr(signal, "SIGUSR1", None)
_HANG_UP: signal.Signals | None = getattr(signal, "SIGHUP", None)  # Windows has none
_POLL_SECONDS = 0.1
_START_SECONDS = 120
# A process that has not ended so many seconds after its graceful shutdown is frozen: it is killed.
_STOP_GRACE_SECONDS = 5


class Supervisor(Multiprocess):
    """uvicorn's supervisor with hooks, an exit status, and faster reactions to signals.

    All server processes share the listening sockets.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket.socket],
        hooks: ServerHooks,
        stop_signals: StopSignals,
        drain_seconds: int,
    ) -> None:
        super().__init__(config, sockets=sockets)
        self._hooks = hooks
        self._stop_signals = stop_signals
        self._status = STOPPED
        self._drain_seconds = drain_seconds
        self._was_terminated = False

    def run_until_stopped(self) -> int:
        """Run the server processes until a stop signal arrives; return the exit status.

        The status is `FAILED` if a process cannot start or `on_tick` returns False, `FORCED` after
        a second Ctrl-C, and otherwise `STOPPED`.
        """
        self.run()
        if any(process.exitcode == STARTUP_FAILURE for process in self.processes):
            return FAILED
        return self._status

    def init_processes(self) -> None:
        """Start the server processes; call `on_ready` when all of them accept requests."""
        super().init_processes()
        for process in self.processes:
            while not process.is_ready(timeout=1):
                if self._has_stop_signal() or not process.process.is_alive():
                    return
        self._hooks.on_ready()

    def keep_subprocess_alive(self) -> None:
        """Replace server processes that have died; call `on_tick`, and stop if it returns False."""
        before = [process.pid for process in self.processes]
        super().keep_subprocess_alive()
        for old, process in zip(before, self.processes, strict=True):
            if old != process.pid:
                structlog.get_logger("orderly").error(
                    "server_process_replaced", died=old, pid=process.pid
                )
        self._tick()

    def _tick(self) -> None:
        if not self.should_exit.is_set() and not self._hooks.on_tick():
            self._status = FAILED
            self.should_exit.set()

    def _has_stop_signal(self) -> bool:
        queue = self.signal_queue
        is_closed = self._stop_signals.has_terminal and _HANG_UP in queue
        return is_closed or not _STOP_SIGNALS.isdisjoint(queue)

    def handle_signals(self) -> None:
        """Handle the signals that have arrived; several SIGHUP cause a single reload."""
        if _HANG_UP is not None:
            while self.signal_queue.count(_HANG_UP) > 1:
                self.signal_queue.remove(_HANG_UP)
        super().handle_signals()

    def handle_hup(self) -> None:
        """Stop if the terminal was closed; without a terminal, replace all server processes."""
        if self._stop_signals.has_terminal:
            self.should_exit.set()
        else:
            super().handle_hup()

    def handle_term(self) -> None:
        """Stop after the drain."""
        self._was_terminated = True
        super().handle_term()

    def restart_all(self) -> None:
        """Replace the server processes one by one; stop immediately if a stop signal arrives.

        Replaces uvicorn's method, which queues signals until all processes are replaced, does not
        call `on_tick`, and waits without a limit for an old process, which may be frozen.
        """
        if _STOP_SIGNALS.intersection(self.signal_queue):
            return

        def stop(number: int, _frame: object) -> None:
            self._was_terminated = number == signal.SIGTERM
            self.should_exit.set()

        with installed(dict.fromkeys(_STOP_SIGNALS, stop)):
            for index, old in enumerate(self.processes):
                if self.should_exit.is_set():
                    return
                new = Process(self.config, self.sockets)
                new.start()
                if not self._becomes_ready(new):
                    new.kill()
                    new.join()
                    if not self.should_exit.is_set():
                        structlog.get_logger("orderly").error("reload_failed", pid=new.pid)
                    return
                self.processes[index] = new
                old.terminate()
                self._join([old], while_waiting=self._tick)
        structlog.get_logger("orderly").info("reloaded")

    def _becomes_ready(self, process: Process) -> bool:
        """Wait until a new process accepts requests; return False if it does not."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and process.process.is_alive():
            if process.is_ready(timeout=_POLL_SECONDS):
                return True
            self._tick()
            if self.should_exit.wait(_POLL_SECONDS):
                break
        return False

    def terminate_all(self) -> None:
        """Stop all server processes; after SIGTERM only after the drain.

        In the drain, readiness is 503 and all requests are served. Another stop signal ends it.
        """
        self._announce_stop()
        if self._was_terminated and self._drain_seconds:
            log_drain(self._drain_seconds)
            deadline = time.monotonic() + self._drain_seconds
            while time.monotonic() < deadline and not self.signal_queue:
                time.sleep(_POLL_SECONDS)
        # The supervisor has its own copies of the listening sockets. If one stayed open, clients
        # could still connect, and would never get a response.
        for listening_socket in self.sockets:
            listening_socket.close()
        super().terminate_all()

    def _announce_stop(self) -> None:
        if DRAIN is None:
            return
        for process in self.processes:
            if process.pid is not None and process.process.is_alive():
                with suppress(ProcessLookupError):
                    os.kill(process.pid, DRAIN)

    def join_all(self) -> None:
        """Wait until all server processes have ended; kill them at a second Ctrl-C."""
        self._join(self.processes, while_waiting=self._kill_if_forced)

    def _kill_if_forced(self) -> None:
        # The first SIGINT was removed from the queue when it was handled.
        if signal.SIGINT in self.signal_queue:
            self._status = FORCED
            for process in self.processes:
                process.process.kill()

    def _join(self, processes: list[Process], while_waiting: Callable[[], None]) -> None:
        """Wait until processes that were terminated have ended; kill those that do not end."""
        limit = (self.config.timeout_graceful_shutdown or 0) + _STOP_GRACE_SECONDS
        deadline = time.monotonic() + limit
        for process in processes:
            while process.process.is_alive():
                process.process.join(_POLL_SECONDS)
                while_waiting()
                if time.monotonic() > deadline and process.process.is_alive():
                    structlog.get_logger("orderly").error("server_process_killed", pid=process.pid)
                    process.process.kill()
                    process.process.join()


def log_drain(seconds: int) -> None:
    """Log that requests are served for some seconds more."""
    structlog.get_logger("orderly").info("drain_started", seconds=seconds)
