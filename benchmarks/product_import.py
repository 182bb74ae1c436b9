"""Measures the time and memory of importing products: `python -m benchmarks.product_import`.

The goals are 5 s for 10,000 lines, and memory that does not grow with the number of lines.
"""

from __future__ import annotations

import io
import tempfile
import time
import tracemalloc
from pathlib import Path

from database import binding, migrations
from orderly.cli.product_import import import_file
from orderly.embedded import EmbeddedPostgreSQL
from services import process
from services.audit import audit
from services.configuration import Configuration

SIZES = (1_000, 10_000, 50_000)


def main() -> None:
    """Import each file twice for the time, and once more for the memory; print the figures."""
    process.bind(Configuration(signing_key=b"a signing key for measuring, 32 b"))
    with (
        tempfile.TemporaryDirectory() as directory,
        EmbeddedPostgreSQL(Path(directory) / "data") as url,
    ):
        binding.bind(url, max_connections=1)
        migrations.apply()
        for size in SIZES:
            for _ in range(2):
                began = time.perf_counter()
                summary = import_lines(size)
                print(f"{size:6} lines in {time.perf_counter() - began:.2f} s: {summary}")
            tracemalloc.start()
            import_lines(size)
            print(f"{size:6} lines, at most {tracemalloc.get_traced_memory()[1] >> 10} KiB")
            tracemalloc.stop()
        print(f"audit: {audit()}")
        binding.close()


def import_lines(size: int) -> str | None:
    """Import a file with `size` lines; return the summary."""
    lines = (f"S{size}-{n},Thing {n},{'Much to say. ' * 5},{n}.50,{n}\r\n" for n in range(size))
    file = io.BytesIO(("sku,name,description,price,stock\r\n" + "".join(lines)).encode())
    result = import_file(
        file, "EUR", dry_run=False, skip_faulty=False, show_progress=lambda _: None
    )
    return result.summary


if __name__ == "__main__":
    main()
