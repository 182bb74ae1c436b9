"""Validate requests and responses with Prism, another implementation of OpenAPI, as a proxy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from orderly.verification.requests import Request
from tests.support.node_tools import PRISM
from tests.support.processes import free_port, wait_until


@contextmanager
def prism_proxy(server: str, directory: Path) -> Iterator[str]:
    """Run Prism in front of a server, with the document that the server serves; yield its URL.

    Prism forwards invalid requests and responses too, and lists the violations in the header
    `sl-violations`.
    """
    document = directory / "openapi.json"
    document.write_bytes(httpx2.get(f"{server}/openapi.json").content)
    port = free_port()
    command = [str(PRISM), "proxy", str(document), f"{server}/api/v1", "--port", str(port)]
    log = directory / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_until(lambda: "Prism is listening" in log.read_text() or process.poll())
        assert process.poll() is None, log.read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        # Node.js from PyPI is a launcher that starts the real process: kill the process group.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def assert_no_violations(request: Request, response: httpx2.Response) -> None:
    """Fail if Prism found the response invalid, or a request that the server accepted."""
    header = response.headers.get("sl-violations", "[]")
    if header.startswith("["):
        violations = json.loads(header)
    else:
        violations = [{"location": ["response"], "message": header}]
    if response.is_error:
        violations = [found for found in violations if found["location"][0] == "response"]
    assert [] == violations, f"{request.operation_id}: {response.status_code} {response.text[:500]}"
