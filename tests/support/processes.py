"""Runs `orderly` commands and servers in processes of their own."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

import httpx2

from tests.support.embedded_postgresql import postmaster_pid

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 60.0


def orderly_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment, with the given ORDERLY_ variables instead of its own."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("ORDERLY_")
    }
    try:
        version("orderly-api")
    except PackageNotFoundError:
        inherited["PYTHONPATH"] = str(ROOT)
    return {
        **inherited,
        "ORDERLY_PASSWORD_HASH": "cheapest",
        # `tox -e threads` runs all servers with threads.
        "ORDERLY_HANDLERS": os.environ.get("PYTEST_HANDLERS", "greenlets"),
        # On a slow machine, requests of tests must not be refused because they wait.
        "ORDERLY_QUEUE_TARGET_MS": "10000",
        "PYTHONFAULTHANDLER": "1",  # SIGABRT prints every thread's stack: see Server.wait
        **variables,
    }


def run_orderly(
    *arguments: str, directory: Path, stdin: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run an `orderly` command in a directory until it exits."""
    return subprocess.run(
        [sys.executable, "-m", "orderly", *arguments],
        cwd=directory,
        env=orderly_environment(**variables),
        input=stdin,
        capture_output=True,
        text=True,
        # A restore writes a whole database with fsync: 50 seconds were seen on a busy disk.
        timeout=3 * TIMEOUT_SECONDS,
        check=False,
    )


class Server:
    """A running `orderly serve`."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.process = process
        self._stdout = directory / "stdout"
        self._stderr = directory / "stderr"

    @classmethod
    def start(
        cls,
        data_dir: Path,
        *arguments: str,
        terminal: int | None = None,
        program: str = "orderly",
        **variables: str,
    ) -> Self:
        """Start a server without waiting until it is ready; choose a free port unless given one.

        `program` is the module that is run.

        `terminal` is the file descriptor of the pseudo-terminal that controls the server.
        """
        directory = data_dir.parent
        command = [sys.executable, "-m", program, "serve", "--data-dir", str(data_dir)]
        port = [] if "--port" in arguments else ["--port", "0"]
        with (directory / "stdout").open("wb") as out, (directory / "stderr").open("wb") as err:
            process = subprocess.Popen(
                [*command, *port, *arguments],
                cwd=directory if program == "orderly" else ROOT,
                env=orderly_environment(**variables),
                stdin=subprocess.DEVNULL if terminal is None else terminal,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=None if terminal is None else _set_terminal,  # noqa: PLW1509
            )
        return cls(process, directory)

    def wait_until_ready(self) -> None:
        """Wait until the server has printed its start message."""
        wait_until(lambda: "Ctrl-C" in self.stdout or self.process.poll() is not None)
        assert self.process.poll() is None, self.stderr

    @property
    def stdout(self) -> str:
        return self._stdout.read_text()

    @property
    def stderr(self) -> str:
        """What the server has logged. A server that runs writes its log in batches of 250 ms."""
        size = -1
        while self.process.poll() is None and size != self._stderr.stat().st_size:
            size = self._stderr.stat().st_size
            time.sleep(0.35)
        return self._stderr.read_text()

    @property
    def log(self) -> list[dict[str, Any]]:
        """The records of the server's JSON log."""
        return [json.loads(line) for line in self.stderr.splitlines()]

    def has_logged(self, event: str, **fields: object) -> bool:
        """Return whether the JSON log has such an event."""
        return any(line["event"] == event and fields.items() <= line.items() for line in self.log)

    @property
    def url(self) -> str:
        match = re.search(r"(http://\S+)/docs", self.stdout)
        assert match, self.stdout
        return match[1]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def metrics_address(self) -> str:
        """The host and port that serve metrics."""
        match = re.search(r"Metrics +http://(\S+)/metrics", self.stdout)
        assert match, self.stdout
        return match[1]

    def get(self, path: str) -> httpx2.Response:
        """Send a GET request on a new connection; return the response."""
        return httpx2.get(self.url + path, timeout=TIMEOUT_SECONDS)

    def post(self, path: str, body: Mapping[str, object]) -> httpx2.Response:
        """Send a POST request on a new connection; return the response."""
        return httpx2.post(self.url + path, json=body, timeout=TIMEOUT_SECONDS)

    def worker_pids(self) -> set[int]:
        """Return the process IDs of the worker processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return {pid for pid in map(int, children.split()) if b"spawn_main" in command_line(pid)}

    def kill_postgresql(self, data_dir: Path) -> None:
        """Kill the embedded PostgreSQL; wait until the server has restarted it."""
        killed = postmaster_pid(data_dir)
        os.kill(killed, signal.SIGKILL)

        def is_restarted() -> bool:
            try:
                return postmaster_pid(data_dir) != killed
            except (OSError, ValueError, IndexError):  # the file is being written
                return False

        # Readiness alone proves nothing: connections to the killed server can work for a moment.
        wait_until(is_restarted)
        wait_until(lambda: self.get("/health/ready").status_code == 200)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor process."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait until the server exits; return its exit status.

        After the timeout, kill it with SIGABRT, which logs where each thread hangs.
        """
        try:
            return self.process.wait(TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.send_signal(signal.SIGABRT)
            self.process.wait()
            raise AssertionError(f"The server did not stop:\n{self.stderr}") from None

    def stop(self) -> int:
        """Stop the server with SIGTERM; return its exit status."""
        self.send_signal(signal.SIGTERM)
        return self.wait()


@contextmanager
def run_server(
    data_dir: Path,
    *arguments: str,
    terminal: int | None = None,
    program: str = "orderly",
    **variables: str,
) -> Iterator[Server]:
    """Run a server for the duration of the block; stop it even if the block raises."""
    server = Server.start(data_dir, *arguments, terminal=terminal, program=program, **variables)
    try:
        server.wait_until_ready()
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def _set_terminal() -> None:
    # Standard input becomes the controlling terminal, so the server gets SIGHUP when it is closed.
    # nohup sets SIGHUP to be ignored, and children inherit that: restore the default.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def wait_until(condition: Callable[[], object], seconds: float = TIMEOUT_SECONDS) -> None:
    """Wait until a condition is true; fail after the timeout."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def command_line(pid: int) -> bytes:
    """Return the command line of a process, or nothing if the process has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])
