"""How long `orderly serve` takes to its first answer, on new data and on data that exists.

`python -m benchmarks.start [OPTION...]`: the options are those of `serve`, such as `--workers 2`.
The goals are 5 s and 2 s, and 120 MiB of memory for a process.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

STARTS = 6


def main(options: list[str]) -> None:
    """Print the seconds of a first start, and of the quickest and slowest of the later ones."""
    with tempfile.TemporaryDirectory() as directory:
        measured = [start(Path(directory) / "data", options) for _ in range(STARTS)]
    first, *later = [seconds for seconds, _ in measured]
    print(f"first start   {first:.2f} s")
    print(f"later starts  {min(later):.2f} to {max(later):.2f} s")
    print(f"memory        {max(memory for _, memory in measured)} MiB resident")


def start(data_dir: Path, options: list[str]) -> tuple[float, int]:
    """Return the seconds until a ready server answered, and the memory of its process in MiB."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "orderly", "serve", "--data-dir", str(data_dir)]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--port", port, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not answers(f"http://127.0.0.1:{port}/health/ready"):
            if process.poll() is not None:
                sys.exit("orderly serve did not start")
            time.sleep(0.005)
        seconds = time.perf_counter() - began
        status = Path(f"/proc/{process.pid}/status").read_text()
        return seconds, int(status.partition("VmRSS:")[2].split()[0]) // 1024
    finally:
        process.terminate()
        process.wait()


def answers(url: str) -> bool:
    """Tell whether a URL is answered with success."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bool(answer.read())
    except OSError:
        return False


if __name__ == "__main__":
    main(sys.argv[1:])
