"""`orderly verify` refuses what it cannot or must not verify, and says what to do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from orderly.cli.main import main
from orderly.contract import document
from tests.support.processes import free_port, run_server
from tests.support.settings import SIGNING_KEY


@contextmanager
def http_server(content: Mapping[str, Any]) -> Iterator[str]:
    """Serve one JSON document at every path; yield the server's URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def verify(url: str, directory: Path) -> tuple[int, str]:
    """Run `orderly verify` in this process; return its exit status and output."""
    reports = directory / "reports"
    result = CliRunner().invoke(main, ["verify", url, "--report-dir", str(reports)])
    assert not reports.exists()  # no check has run
    return result.exit_code, result.output


def test_a_url_with_nothing_there(tmp_path: Path) -> None:
    status, output = verify(f"http://127.0.0.1:{free_port()}", tmp_path)

    assert 2 == status
    assert "Nothing responds at http://127.0.0.1:" in output


@pytest.mark.parametrize("url", ["localhost:8000", "shop"])
def test_something_that_is_not_a_url(tmp_path: Path, url: str) -> None:
    status, output = verify(url, tmp_path)

    assert 2 == status
    assert f"{url} is not a URL" in output


def test_another_program_is_not_orderly(tmp_path: Path) -> None:
    with http_server({"openapi": "3.0.3", "info": {"title": "Pets"}}) as url:
        status, output = verify(url, tmp_path)

    assert 2 == status
    assert f"{url} is not Orderly" in output


def test_the_differences_from_an_older_server_are_named(tmp_path: Path) -> None:
    older = document.published(document.load(), test_system=True)
    older["info"]["version"] = "0.2.0"
    del older["paths"]["/products"]["post"]
    with http_server(older) as url:
        status, output = verify(url, tmp_path)

    assert 2 == status
    assert "version 0.2.0" in output
    assert "/paths/~1products/post: not in the served document" in output


def test_a_deployment_must_declare_itself_a_test_system(tmp_path: Path, runtime_url: str) -> None:
    with run_server(
        tmp_path / "data",
        ORDERLY_DATABASE_URL=runtime_url,
        ORDERLY_SIGNING_KEY=SIGNING_KEY,
        ORDERLY_COOKIE_SECURE="false",
        ORDERLY_WORKER="false",
    ) as server:
        status, output = verify(server.url, tmp_path)

    assert 2 == status
    assert "does not declare itself a test system" in output
    assert "ORDERLY_TEST_SYSTEM=true" in output


def test_without_the_extra_the_command_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orderly.cli.verify.find_spec", lambda _name: None)

    result = CliRunner().invoke(main, ["verify", "http://localhost:8000"])

    assert 2 == result.exit_code
    assert "pip install 'orderly-api[qa]'" in result.output
