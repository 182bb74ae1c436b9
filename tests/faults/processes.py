"""Orderly as its users run it: a process of its own, away from the source."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
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

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60.0


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a process: the machine's, and of Orderly only what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORDERLY_")}
    try:
        version("orderly-api")
    except PackageNotFoundError:
        kept["PYTHONPATH"] = str(ROOT)
    return {
        **kept,
        "ORDERLY_PASSWORD_HASH": "cheapest",
        "PYTHONFAULTHANDLER": "1",  # for Server.wait
        **variables,
    }


def orderly(
    *arguments: str, directory: Path, typed: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a directory, with what is typed on its standard input."""
    return subprocess.run(
        [sys.executable, "-m", "orderly", *arguments],
        cwd=directory,
        env=environment(**variables),
        input=typed,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


class Server:
    """A running `orderly serve`."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.process = process
        self._said = directory / "stdout"
        self._logged = directory / "stderr"

    @classmethod
    def start(
        cls, data_dir: Path, *arguments: str, terminal: int | None = None, **variables: str
    ) -> Self:
        """Start one, on any free port unless one is given; it need not serve yet.

        A terminal is one end of a pseudo-terminal, which it is started from.
        """
        directory = data_dir.parent
        command = [sys.executable, "-m", "orderly", "serve", "--data-dir", str(data_dir)]
        port = [] if "--port" in arguments else ["--port", "0"]
        with (directory / "stdout").open("wb") as out, (directory / "stderr").open("wb") as err:
            process = subprocess.Popen(
                [*command, *port, *arguments],
                cwd=directory,
                env=environment(**variables),
                stdin=subprocess.DEVNULL if terminal is None else terminal,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=None if terminal is None else _take_terminal,  # noqa: PLW1509
            )
        return cls(process, directory)

    def wait_until_serving(self) -> None:
        """Wait until it says that it serves."""
        until(lambda: "Ctrl-C" in self.said or self.process.poll() is not None)
        assert self.process.poll() is None, self.logged

    @property
    def said(self) -> str:
        return self._said.read_text()

    @property
    def logged(self) -> str:
        return self._logged.read_text()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.logged.splitlines()]

    @property
    def url(self) -> str:
        found = re.search(r"(http://\S+)/docs", self.said)
        assert found, self.said
        return found[1]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def get(self, path: str) -> httpx2.Response:
        """Answer a GET on a connection of its own."""
        return httpx2.get(self.url + path, timeout=PATIENCE_SECONDS)

    def post(self, path: str, body: Mapping[str, object]) -> httpx2.Response:
        """Answer a POST on a connection of its own."""
        return httpx2.post(self.url + path, json=body, timeout=PATIENCE_SECONDS)

    def workers(self) -> set[int]:
        """Return the numbers of the processes that serve for this one."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return {pid for pid in map(int, children.split()) if b"spawn_main" in command_line(pid)}

    def database_server(self, data_dir: Path) -> int:
        """Return the number of the embedded PostgreSQL's process."""
        return int((data_dir / "postgresql" / "postmaster.pid").read_text().split()[0])

    def kill_database_server(self, data_dir: Path) -> None:
        """Kill the embedded PostgreSQL, and wait until another serves in its place."""
        killed = self.database_server(data_dir)
        os.kill(killed, signal.SIGKILL)

        def is_another() -> bool:
            try:
                return self.database_server(data_dir) != killed
            except (OSError, ValueError, IndexError):  # it is just being written
                return False

        # Ready alone would not do: connections of the killed one may answer for a moment.
        until(is_another)
        until(lambda: self.get("/health/ready").status_code == 200)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Return the exit status, once there is one; one that hangs is killed and says where."""
        try:
            return self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGABRT)
            self.process.wait()
            raise AssertionError(f"It did not stop:\n{self.logged}") from None

    def stop(self) -> int:
        """Stop it the usual way; return the exit status."""
        self.send(signal.SIGTERM)
        return self.wait()


@contextmanager
def serving(
    data_dir: Path, *arguments: str, terminal: int | None = None, **variables: str
) -> Iterator[Server]:
    """Serve while the block runs; whatever happens in it, nothing is left running."""
    server = Server.start(data_dir, *arguments, terminal=terminal, **variables)
    try:
        server.wait_until_serving()
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def _take_terminal() -> None:
    # Its standard input becomes the terminal that it is told of when that is closed; even where
    # these tests themselves are run by nohup, which lets all that they start ignore it.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def command_line(pid: int) -> bytes:
    """Return what a process was started as; nothing for one that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
