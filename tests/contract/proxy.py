"""A second opinion: Prism, which reads the contract with other eyes, between client and server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.contract.visitor import Request
from tests.support.processes import wait_until

PRISM = Path(__file__).with_name("tools") / "node_modules/.bin/prism"


@contextmanager
def proxying(server: str, directory: Path) -> Iterator[str]:
    """Run Prism before a server, by the document that this one serves; yield its address.

    It passes on what it holds to be wrong, too, and says so in a header.
    """
    document = directory / "openapi.json"
    document.write_bytes(httpx2.get(f"{server}/openapi.json").content)
    port = _free_port()
    command = [str(PRISM), "proxy", str(document), f"{server}/api/v1", "--port", str(port)]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_until(
            lambda: "Prism is listening" in (directory / "log").read_text() or process.poll()
        )
        assert process.poll() is None, (directory / "log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        # Node from PyPI is a program that starts another, which may wait for its connections.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def agree(request: Request, answer: httpx2.Response) -> None:
    """Fail where Prism holds an answer to be wrong, or a request that the server took."""
    told = answer.headers.get("sl-violations", "[]")
    found = json.loads(told) if told.startswith("[") else [{"location": ["response"], "told": told}]
    if answer.status_code >= httpx2.codes.BAD_REQUEST:
        found = [one for one in found if one["location"][0] == "response"]
    assert [] == found, f"{request.operation_id}: {answer.status_code} {answer.text[:500]}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
