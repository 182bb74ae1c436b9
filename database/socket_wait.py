"""Waiting for a connection's socket: in the event loop, or where there is none, in the thread."""

from __future__ import annotations

import asyncio
import os
import select
import sys
from functools import partial
from typing import Protocol

from database.greenlets import Bridge, Work, current_work


class Watched(Protocol):
    """A connection whose socket can be waited for."""

    watch: SocketWatch | None

    @property
    def closed(self) -> int:
        """Tell whether it is over, by anything but 0."""
        ...

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        ...


def is_ready(
    connection: Watched, *, writing: bool, seconds: float | None, again: bool = False
) -> bool:
    """Wait until a connection can be read, or written to; tell whether it can within so long.

    `again` says that it could, and that it was not enough.
    """
    work = current_work()
    if work is None or seconds == 0:
        return _poll(connection.fileno(), writing=writing, seconds=seconds)
    # libuv tells of a reset once and is silent then: the last words are read, and the end is to be.
    if again and _poll(connection.fileno(), writing=writing, seconds=0):
        return True
    can: bool = work.wait(partial(_watch, connection, writing, seconds))
    return can


def _watch(connection: Watched, writing: bool, seconds: float | None, work: Work) -> None:
    watch = connection.watch
    if watch is None or watch.over or watch.loop is not work.loop:
        watch = connection.watch = SocketWatch(work.loop, work.bridge, connection)
    watch.wake(work, writing, seconds)


class SocketWatch:
    """Wakes the one who waits for a socket; begun once, since each beginning costs the kernel.

    It has a descriptor of its own, for the loop must not watch one that is closed meanwhile, and a
    connection is closed by whoever finds it broken. It is over when the server speaks while nobody
    waits, which all but always is its farewell, or when who waited finds the connection broken.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, bridge: Bridge, connection: Watched
    ) -> None:
        self.loop = loop
        self.over = False
        self._bridge = bridge
        self._connection = connection
        self._work: Work | None = None
        self._writing = False
        self._timer: asyncio.TimerHandle | None = None
        self._descriptor = os.dup(connection.fileno())
        loop.add_reader(self._descriptor, self._on_input)
        bridge.watches.add(self)

    def wake(self, work: Work, writing: bool, seconds: float | None) -> None:
        """Have work go on when the socket can be read, or written to, or after so long."""
        self._work = work
        self._writing = writing
        if writing:
            self.loop.add_writer(self._descriptor, self._go_on, True)
        if seconds is not None:
            self._timer = self.loop.call_later(seconds, self._go_on, False)

    def end(self) -> None:
        """Watch no longer."""
        if self.over:
            return  # its descriptor may be somebody else's by now
        self.over = True
        self._bridge.watches.discard(self)
        self.loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _on_input(self) -> None:
        if self._work is None:
            self.end()
        else:
            self._go_on(True)

    def _go_on(self, can: bool) -> None:
        work, self._work = self._work, None
        if self._writing:
            self.loop.remove_writer(self._descriptor)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if work is not None:
            work.go_on(can)
            if self._connection.closed:
                self.end()  # libuv may tell of nothing more, and the server never speak again


if sys.platform == "win32":  # has no poll()

    def _poll(descriptor: int, *, writing: bool, seconds: float | None) -> bool:
        watched: tuple[list[int], list[int]] = ([], [descriptor]) if writing else ([descriptor], [])
        return any(select.select(*watched, [], seconds))

else:

    def _poll(descriptor: int, *, writing: bool, seconds: float | None) -> bool:
        poller = select.poll()
        poller.register(descriptor, select.POLLOUT if writing else select.POLLIN)
        return bool(poller.poll(None if seconds is None else seconds * 1000))
