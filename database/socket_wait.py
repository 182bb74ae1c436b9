"""Waits until the socket of a connection can be read or written.

In a greenlet, the wait suspends the greenlet until the event loop reports the socket as ready.
Elsewhere, poll() blocks the thread.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys
from functools import partial
from typing import Protocol

import psycopg2

from database.greenlets import GreenletRunner, GreenletTask, current_task


class WatchedConnection(Protocol):
    """A connection whose socket can be waited for."""

    watcher: SocketWatcher | None

    @property
    def closed(self) -> int:
        """0 while the connection is open."""
        ...

    def fileno(self) -> int:
        """Return the socket's file descriptor."""
        ...


def wait_until_ready(
    connection: WatchedConnection,
    *,
    writing: bool,
    seconds: float | None,
    after_partial_read: bool = False,
) -> bool:
    """Wait until the socket can be read or, if `writing`, written; return False on a timeout.

    `seconds` is the timeout; None waits for ever. Set `after_partial_read` for the second and later
    waits for a response: the socket was ready, but the data did not complete the response.
    """
    task = current_task()
    if task is None:
        return _poll(connection.fileno(), writing=writing, seconds=seconds)
    # libuv (the library below uvloop) reports a connection reset only once. psycopg2 may then have
    # read only the data before the EOF. The event loop would not report the EOF: poll for it.
    if after_partial_read and _poll(connection.fileno(), writing=writing, seconds=0):
        return True
    ready: bool = task.suspend(partial(_watch, connection, writing, seconds))
    return ready


def is_readable(connection: WatchedConnection) -> bool:
    """Return whether the socket can be read now."""
    return _poll(connection.fileno(), writing=False, seconds=0)


def _watch(
    connection: WatchedConnection, writing: bool, seconds: float | None, task: GreenletTask
) -> None:
    watcher = connection.watcher
    if watcher is None or watcher.closed or watcher.loop is not task.loop:
        watcher = SocketWatcher(task.loop, task.runner, connection)
        connection.watcher = watcher
    watcher.resume_when_ready(task, writing, seconds)


class SocketWatcher:
    """Resumes the task that waits for a socket.

    It stays registered with the event loop between two waits, since each registration is a system
    call. It uses a duplicate of the file descriptor: a broken connection closes its own descriptor,
    and the event loop must not watch a closed descriptor.

    It closes itself when the database server sends data while no task waits (which is almost always
    EOF or a shutdown notice), and when the task finds the connection closed.

    Raises:
        psycopg2.OperationalError: the process has no free file descriptor.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        runner: GreenletRunner,
        connection: WatchedConnection,
    ) -> None:
        self.loop = loop
        self.closed = False
        self._runner = runner
        self._connection = connection
        self._task: GreenletTask | None = None
        self._writing = False
        self._timer: asyncio.TimerHandle | None = None
        try:
            self._descriptor = os.dup(connection.fileno())
        except OSError as error:
            raise psycopg2.OperationalError(str(error)) from error
        loop.add_reader(self._descriptor, self._on_readable)
        runner.resources.add(self)

    def resume_when_ready(self, task: GreenletTask, writing: bool, seconds: float | None) -> None:
        """Resume the task with True when the socket is ready, or with False after `seconds`."""
        self._task = task
        self._writing = writing
        if writing:
            self.loop.add_writer(self._descriptor, self._resume, True)
        if seconds is not None:
            self._timer = self.loop.call_later(seconds, self._resume, False)

    def close(self) -> None:
        """Stop watching the socket."""
        if self.closed:
            return  # the number of the descriptor may be in use again
        self.closed = True
        self._runner.resources.discard(self)
        self.loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _on_readable(self) -> None:
        # A task that waits to write is resumed too: libpq must read while the server sends.
        if self._task is None:
            self.close()
        else:
            self._resume(True)

    def _resume(self, ready: bool) -> None:
        task, self._task = self._task, None
        if self._writing:
            self.loop.remove_writer(self._descriptor)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if task is not None:
            task.resume(ready)
            if self._connection.closed:
                # The socket may never become readable again, so `_on_readable` may never close it.
                self.close()


if sys.platform == "win32":  # has no poll()

    def _poll(descriptor: int, *, writing: bool, seconds: float | None) -> bool:
        watched: tuple[list[int], list[int]] = ([], [descriptor]) if writing else ([descriptor], [])
        return any(select.select(*watched, [], seconds))

else:

    def _poll(descriptor: int, *, writing: bool, seconds: float | None) -> bool:
        poller = select.poll()
        poller.register(descriptor, select.POLLOUT if writing else select.POLLIN)
        return bool(poller.poll(None if seconds is None else seconds * 1000))
