"""Writes the lines of a log in a thread, so that a slow disk or a full pipe never blocks a request.

A server writes to standard error. If that is a pipe and its reader stops reading, a write blocks as
soon as the pipe is full. So requests only append lines to a queue, and a thread writes them. The
queue is bounded: lines that do not fit are dropped and counted. When writing works again, the
number of dropped lines is logged.
"""

from __future__ import annotations

import os
import select
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

MAX_QUEUED_BYTES = 4 << 20
# The thread writes at once, then collects lines for this time and writes them together. While it
# writes, it competes with the event loop for the GIL, and each handover costs CPU time.
_BATCH_SECONDS = 0.25
# POSIX guarantees that a write of up to PIPE_BUF bytes to a pipe is atomic. Longer writes of
# several processes to the same pipe could be interleaved.
_MAX_PIPE_BYTES = select.PIPE_BUF if hasattr(select, "PIPE_BUF") else 4096
# Writes to files have no such limit: processes append (O_APPEND), or share an open file, whose
# writes the kernel serializes.
_MAX_FILE_BYTES = 1 << 20
_CLOSE_SECONDS = 2.0
_POLL_SECONDS = 0.001


class Sink(Protocol):
    """Where lines are written. `write` raises OSError or ValueError if it fails."""

    # Longer text is written in several parts, each of complete lines.
    max_bytes: int

    def write(self, lines: bytes) -> None:
        """Write complete lines."""


class StreamSink:
    """An open stream, such as standard error."""

    def __init__(self, stream: Any) -> None:
        self.max_bytes = _MAX_FILE_BYTES if _is_file(stream) else _MAX_PIPE_BYTES
        # Bypass the buffer: a blocked write would hold its lock, and so block all threads that
        # print to standard error, and the exit of the process.
        self._stream = getattr(stream, "raw", stream)
        self._buffered = stream  # this reference keeps it open: garbage collection closes it

    def write(self, lines: bytes) -> None:
        """Write lines. Waits while the reader of a pipe does not read."""
        remaining = memoryview(lines)
        while remaining:
            written = self._stream.write(remaining)
            if written is None:  # another process has made the pipe non-blocking, and it is full
                select.select([], [self._stream], [], 1)
            else:
                remaining = remaining[written:]


def _is_file(stream: Any) -> bool:
    """Return whether a stream is a regular file, as with `2>>orderly.log`."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # a stream without a descriptor
        return False


class FileSink:
    """A file to which several processes append. It is reopened after it was renamed.

    So `logrotate` works with its defaults, without a signal or `copytruncate`.
    """

    max_bytes = _MAX_FILE_BYTES

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open()

    def write(self, lines: bytes) -> None:
        """Append lines, to a new file if the file was renamed or deleted."""
        if self._is_renamed():
            previous = self._descriptor
            with suppress(OSError):  # no permission: continue in the renamed file
                self._open()
                os.close(previous)
        remaining = memoryview(lines)
        while remaining:
            remaining = remaining[os.write(self._descriptor, remaining) :]

    def _open(self) -> None:
        # Only its owner may read it: the log has the addresses of clients.
        self._descriptor = os.open(
            self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        self._status = os.fstat(self._descriptor)

    def _is_renamed(self) -> bool:
        try:
            return not os.path.samestat(os.stat(self._path), self._status)  # noqa: PTH116  # faster
        except OSError as error:
            return isinstance(error, FileNotFoundError)


class LogWriter:
    """A bounded queue of lines, and the thread that writes them.

    `report` formats the line that says how many lines were dropped.
    """

    def __init__(
        self,
        sink: Sink,
        report: Callable[[int], bytes],
        *,
        max_queued_bytes: int = MAX_QUEUED_BYTES,
    ) -> None:
        self._sink = sink
        self._report = report
        self._max_queued_bytes = max_queued_bytes
        self._lines: list[bytes] = []
        self._queued_bytes = 0
        self._dropped = 0
        self._is_writing = False
        # Reentrant: a finalizer may log while its thread holds the lock.
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """The number of lines that were dropped and not yet reported."""
        return self._dropped

    def put(self, line: bytes) -> None:
        """Queue a line, which ends with a newline. Never waits. Drops it if the queue is full."""
        with self._lock:
            if self._queued_bytes + len(line) > self._max_queued_bytes:
                self._dropped += 1
                return
            self._lines.append(line)
            self._queued_bytes += len(line)
        if not self._wake.is_set():
            self._wake.set()
            if self._thread is None:
                self._start()

    def flush(self, seconds: float = _CLOSE_SECONDS) -> bool:
        """Wait until all queued lines are written, at most `seconds`; return whether they are."""
        deadline = time.monotonic() + seconds
        while self._lines or self._is_writing:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def close(self) -> None:
        """Write the queued lines, and stop the thread. Waits at most two seconds for a reader."""
        self._closed.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            self._write_queued()
            if self._closed.wait(_BATCH_SECONDS):
                self._write_queued()
                return

    def _write_queued(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
            self._is_writing = True
        try:
            for chunk in _chunks(lines, self._sink.max_bytes):
                written = self._write(b"".join(chunk))
                with self._lock:
                    self._queued_bytes -= sum(map(len, chunk))
                    self._dropped += 0 if written else len(chunk)
            if self._dropped:
                self._report_dropped()
        finally:
            self._is_writing = False

    def _report_dropped(self) -> None:
        dropped = self._dropped
        if self._write(self._report(dropped)):
            with self._lock:
                self._dropped -= dropped

    def _write(self, lines: bytes) -> bool:
        """Write lines; return whether it succeeded."""
        try:
            self._sink.write(lines)
        except (OSError, ValueError):  # a full disk, or a stream or a pipe that is closed
            return False
        return True


def _chunks(lines: list[bytes], max_bytes: int) -> list[list[bytes]]:
    """Group lines into chunks of at most `max_bytes`. A longer line is a chunk of its own."""
    chunks: list[list[bytes]] = []
    size = max_bytes
    for line in lines:
        if size + len(line) > max_bytes:
            chunks.append([])
            size = 0
        chunks[-1].append(line)
        size += len(line)
    return chunks
