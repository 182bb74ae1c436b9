"""Writes CSV files (RFC 4180) in chunks, so that a file is never completely in memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

# Large enough to need few network writes, small enough to hold in memory.
_CHUNK_CHARACTERS = 1 << 16


def chunks(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """Return a header of column names, and the rows, as chunks of a CSV file in UTF-8."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(row)
        if text.tell() >= _CHUNK_CHARACTERS:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()
