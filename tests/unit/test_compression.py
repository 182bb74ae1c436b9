"""Compression of responses: the negotiation, and bodies that are sent in chunks."""

from __future__ import annotations

import asyncio
import gzip
import random
from collections.abc import Iterator

import pytest

from orderly.http.compression import accepts_gzip, compress, compressed_chunks


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        ("gzip", True),
        ("GZip", True),
        ("x-gzip", True),
        ("br, gzip", True),
        ("gzip;q=0.001", True),
        ("gzip ; q=1.0", True),
        ("*", True),
        ("deflate, *;q=0.5", True),
        ("identity, gzip", True),
        ("identity;q=0.5, *;q=0.5", True),
        ("identity;q=0, *", True),
        ("", False),
        ("br", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("gzip;q=0.5, identity", False),
        ("gzip;q=2", False),
        ("gzip;q=often", False),
        ("gzip;level=9", False),
        ("gzipped", False),
        ("gzip" + ", br" * 1000, False),
    ],
)
def test_gzip_is_used_if_it_is_acceptable_and_not_less_than_no_compression(
    accept_encoding: str, expected: bool
) -> None:
    assert expected is accepts_gzip(accept_encoding.encode())


def test_a_chunk_of_the_body_is_read_only_when_the_next_one_is_needed() -> None:
    read = []

    def body() -> Iterator[bytes]:
        for number in range(3):
            read.append(number)
            yield random.Random(number).randbytes(1 << 20)

    chunks = compressed_chunks(body())
    for number in range(3):
        next(chunks)
        assert [*range(number + 1)] == read
    next(chunks)

    assert [] == [*chunks]


def test_compressed_chunks_are_one_gzip_file() -> None:
    rows = [f"row {number}\r\n".encode() * 100 for number in range(500)]

    compressed = b"".join(compressed_chunks(iter(rows)))

    assert b"".join(rows) == gzip.decompress(compressed)
    assert len(compressed) * 10 < len(b"".join(rows))


def test_the_source_of_the_chunks_is_closed_if_the_client_disconnects() -> None:
    closed = []

    def body() -> Iterator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            closed.append(True)

    chunks = compressed_chunks(body())
    next(chunks)
    chunks.close()

    assert [True] == closed


def test_an_error_ends_the_file_before_its_end() -> None:
    def body() -> Iterator[bytes]:
        yield b"a" * 100_000
        raise ConnectionError

    sent = []
    with pytest.raises(ConnectionError):
        sent.extend(compressed_chunks(body()))

    with pytest.raises(EOFError):
        gzip.decompress(b"".join(sent))


@pytest.mark.parametrize(("size", "blocks"), [(1 << 18, True), ((1 << 18) + 1, False)])
def test_a_large_body_does_not_block_the_event_loop(size: int, blocks: bool) -> None:
    async def compress_while_the_loop_runs() -> bytes:
        task = asyncio.create_task(compress(b"a" * size))
        await asyncio.sleep(0)
        assert blocks is task.done()
        return await task

    assert b"a" * size == gzip.decompress(asyncio.run(compress_while_the_loop_runs()))
