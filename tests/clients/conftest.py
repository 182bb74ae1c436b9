"""A shop in a process of its own, for clients that are generated from what it serves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.processes import Server, serving


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the demo, its answers held to the contract."""
    with serving(
        tmp_path_factory.mktemp("demo") / "data", "--demo", ORDERLY_VALIDATE_RESPONSES="true"
    ) as server:
        yield server


@pytest.fixture(scope="package")
def document(demo: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with the document that is served."""
    file = tmp_path_factory.mktemp("document") / "openapi.json"
    file.write_bytes(demo.get("/openapi.json").content)
    return file


@pytest.fixture(scope="package")
def examples(repository: Path) -> Path:
    """Return the folder of the examples."""
    return repository / "docs" / "examples"
