"""Fixtures for tests of clients that are generated from the served contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Server, run_server


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server with the demo data and response validation."""
    with run_server(
        tmp_path_factory.mktemp("demo") / "data", "--demo", ORDERLY_VALIDATE_RESPONSES="true"
    ) as server:
        yield server


@pytest.fixture(scope="package")
def document(demo: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with the OpenAPI document that the server serves."""
    file = tmp_path_factory.mktemp("document") / "openapi.json"
    file.write_bytes(demo.get("/openapi.json").content)
    return file


@pytest.fixture(scope="package")
def examples(repository: Path) -> Path:
    """Return the folder of the example programs."""
    return repository / "docs" / "examples"
