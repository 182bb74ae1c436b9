"""The thread that writes the log: a full pipe, a full disk, a renamed file, several processes."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orderly.http.log_writer import FileSink, LogWriter, StreamSink
from tests.support.processes import wait_until


class Pipe:
    """A real pipe. Nothing reads from it until `read_lines`."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        self.stream = os.fdopen(writer, "wb")

    def read_lines(self) -> list[bytes]:
        """Read until the pipe is closed; in small parts, so that it is nearly always full."""
        content = b""
        while part := os.read(self.reader, 1000):
            content += part
        return content.splitlines()

    def close(self) -> None:
        os.close(self.reader)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def report(count: int) -> bytes:
    return b"dropped %d\n" % count


def test_lines_are_written_in_their_order() -> None:
    stream = io.BytesIO()
    writer = LogWriter(StreamSink(stream), report)

    for number in range(5000):
        writer.put(b"line %d\n" % number)

    assert writer.flush()
    assert [b"line %d" % number for number in range(5000)] == stream.getvalue().splitlines()
    writer.close()


def test_a_full_pipe_blocks_no_caller_and_lines_that_do_not_fit_are_counted(pipe: Pipe) -> None:
    writer = LogWriter(StreamSink(pipe.stream), report, max_queued_bytes=100_000)
    line = b"x" * 99 + b"\n"

    began = time.monotonic()
    for _ in range(10_000):
        writer.put(line)
    seconds = time.monotonic() - began

    assert seconds < 2
    assert not writer.flush(0.1)

    def end() -> None:
        writer.flush(30)
        writer.put(b"end\n")
        writer.flush(30)
        pipe.stream.close()

    thread = threading.Thread(target=end)
    thread.start()
    lines = pipe.read_lines()
    thread.join()

    dropped = sum(int(one.split()[1]) for one in lines if one.startswith(b"dropped"))
    assert 0 < dropped < 10_000
    assert 10_000 - dropped == lines.count(line.strip())
    assert b"end" == lines[-1]
    writer.close()


def test_the_end_of_the_process_waits_only_shortly_for_a_pipe_that_is_full(pipe: Pipe) -> None:
    writer = LogWriter(StreamSink(pipe.stream), report)
    for _ in range(1000):
        writer.put(b"x" * 999 + b"\n")

    began = time.monotonic()
    writer.close()

    assert time.monotonic() - began < 10
    thread = threading.Thread(target=pipe.read_lines)
    thread.start()
    assert writer.flush(30)
    pipe.stream.close()
    thread.join()


def test_lines_of_several_writers_to_one_pipe_are_not_mixed(pipe: Pipe) -> None:
    """Each process has a writer of its own, and inherits the same pipe."""
    writers = [LogWriter(StreamSink(pipe.stream), report) for _ in range(3)]
    lines = [bytes([65 + number]) * 700 + b"\n" for number in range(3)]

    def write() -> None:
        for _ in range(300):
            for writer, line in zip(writers, lines, strict=True):
                writer.put(line)
        for writer in writers:
            writer.flush(30)
        pipe.stream.close()

    thread = threading.Thread(target=write)
    thread.start()
    received = pipe.read_lines()
    thread.join()

    assert {line.strip(): 300 for line in lines} == {
        line: received.count(line) for line in set(received)
    }


def test_a_pipe_that_was_made_non_blocking_loses_no_line(pipe: Pipe) -> None:
    os.set_blocking(pipe.stream.fileno(), False)
    writer = LogWriter(StreamSink(pipe.stream), report)
    for number in range(2000):
        writer.put(b"%099d\n" % number)

    thread = threading.Thread(target=lambda: writer.flush(30) and pipe.stream.close())
    thread.start()
    received = pipe.read_lines()
    thread.join()

    assert list(range(2000)) == [int(line) for line in received]


def test_after_the_file_was_renamed_lines_are_written_to_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "orderly.log"
    writer = LogWriter(FileSink(path), report)
    writer.put(b"before\n")
    assert writer.flush()

    path.rename(tmp_path / "orderly.log.1")
    writer.put(b"after\n")
    assert writer.flush()

    assert b"before\n" == (tmp_path / "orderly.log.1").read_bytes()
    assert b"after\n" == path.read_bytes()
    assert 0o600 == path.stat().st_mode & 0o777
    writer.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_lines_that_a_full_disk_cannot_store_are_counted() -> None:
    writer = LogWriter(FileSink(Path("/dev/full")), report)

    writer.put(b"lost\n")

    wait_until(lambda: writer.dropped == 1)
    writer.close()


def test_a_closed_stream_raises_nothing() -> None:
    stream = io.BytesIO()
    writer = LogWriter(StreamSink(stream), report)
    stream.close()

    writer.put(b"lost\n")

    assert writer.flush()
    writer.close()
