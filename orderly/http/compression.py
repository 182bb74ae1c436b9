"""Compresses responses with gzip, for clients that accept it (RFC 9110, section 12.5.3).

Responses with a secret, such as a token, are never compressed: an attacker who can choose another
part of the response could find out the secret from the compressed sizes (the BREACH attack). The
contract marks the operations whose responses are compressed with `x-compressed`.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from collections.abc import Generator, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from handlers.preconditions import is_unchanged

Header = tuple[bytes, bytes]

# Bodies below this size fit into one packet without compression.
MIN_BYTES = 1400
CONTENT_ENCODING: Header = (b"content-encoding", b"gzip")
VARY: Header = (b"vary", b"Accept-Encoding")

# 100 KB of JSON take 0.5 ms with level 3, and 1.3 ms with level 6, which saves another tenth.
_LEVEL = 3
# A larger body is compressed in a thread: it would block the event loop for more than 2 ms.
_MAX_BYTES_ON_EVENT_LOOP = 1 << 18
_GZIP_FORMAT = zlib.MAX_WBITS | 16
_OK = 200
_NOT_MODIFIED = 304
# The headers that 304 has like 200 (RFC 9110, section 15.4.5)
_HEADERS_OF_NOT_MODIFIED = {b"cache-control", b"etag", b"vary"}
# Longer values of `Accept-Encoding` would take up memory in the cache of values.
_MAX_HEADER_BYTES = 200
_ZERO_WEIGHT = 0.0
_WEIGHT = re.compile(rb"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def accepts_gzip(accept_encoding: bytes) -> bool:
    """Return whether gzip is acceptable, and not less than no compression (`identity`)."""
    return len(accept_encoding) <= _MAX_HEADER_BYTES and _accepts_gzip(accept_encoding)


@lru_cache(256)
def _accepts_gzip(accept_encoding: bytes) -> bool:
    weights: dict[bytes, float] = {}
    for item in accept_encoding.lower().split(b","):
        coding, separator, parameter = item.partition(b";")
        match = _WEIGHT.fullmatch(parameter.strip())
        weight = float(match[1]) if match else _ZERO_WEIGHT
        weights[coding.strip()] = weight if separator else 1.0
    of_gzip = weights.get(b"gzip", weights.get(b"x-gzip", weights.get(b"*", _ZERO_WEIGHT)))
    return of_gzip > _ZERO_WEIGHT and of_gzip >= weights.get(b"identity", _ZERO_WEIGHT)


def accept_encoding_of(headers: Iterable[Header]) -> bytes:
    """Return the value of `Accept-Encoding`, which can be sent in several lines."""
    return b",".join(value for name, value in headers if name == b"accept-encoding")


def tag_of_gzip(etag: str) -> str:
    """Return the entity tag of the compressed body.

    A strong tag identifies the bytes of a body (RFC 9110, section 8.8.3), so it needs another one.
    """
    return f'{etag[:-1]}-gzip"'


async def compress(body: bytes, level: int = _LEVEL) -> bytes:
    """Compress a body; a large one in a thread."""
    if len(body) <= _MAX_BYTES_ON_EVENT_LOOP:
        return gzip.compress(body, level, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, level, mtime=0)


def compressed_chunks(chunks: Iterator[bytes]) -> Generator[bytes]:
    """Compress a body that is produced in chunks. Some of the compressed chunks are empty.

    Each takes one chunk of the body, so that nothing else is read before the client gets it.
    """
    compressor = zlib.compressobj(_LEVEL, wbits=_GZIP_FORMAT)
    try:
        for chunk in chunks:
            yield compressor.compress(chunk)
        yield compressor.flush()
    finally:
        if isinstance(chunks, Generator):
            chunks.close()


class Encoding(NamedTuple):
    """How to encode a response that may be compressed.

    With gzip, `if_none_match` must be compared with the entity tag of the compressed body, which
    only this module knows.
    """

    is_gzip: bool
    if_none_match: str | None

    async def encode(self, headers: list[Header], body: bytes) -> tuple[int, list[Header], bytes]:
        """Return the status, headers and body of the response instead of 200 with this body."""
        fields = dict(headers)
        is_compressed = self.is_gzip and len(body) >= MIN_BYTES
        if etag := fields.get(b"etag", b"").decode("latin-1"):
            if is_compressed:
                etag = tag_of_gzip(etag)
                headers = [one for one in headers if one[0] != b"etag"]
                headers.append((b"etag", etag.encode("latin-1")))
            if is_unchanged(self.if_none_match, etag):
                kept = [one for one in headers if one[0] in _HEADERS_OF_NOT_MODIFIED]
                return _NOT_MODIFIED, kept, b""
        if is_compressed:
            body = await compress(body)
            headers = [*headers, CONTENT_ENCODING]
        return _OK, headers, body
