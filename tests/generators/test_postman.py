"""A Postman collection: converted from the served document, and run against the server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.clients.test_typescript import NODE
from tests.generators.catalogue import DIRECTORY, POSTMAN
from tests.generators.table import GENERATES, WORKS, Table
from tests.support.client_programs import run_program
from tests.support.processes import Server


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with the script, the overlay, and the installed packages."""
    project = shutil.copytree(DIRECTORY / "postman", tmp_path / "postman")
    (project / "node_modules").symlink_to(DIRECTORY / "node_modules")
    return project


def test_the_collection_has_all_operations_and_its_happy_path_passes(
    project: Path, document: Path, demo: Server, table: Table
) -> None:
    operations = [
        operation
        for item in json.loads(document.read_text())["paths"].values()
        for name, operation in item.items()
        if name != "parameters"
    ]

    output = run_program([NODE, "run.mjs", document, demo.url], project)

    assert f"{len(operations)} requests converted" in output
    table.add(POSTMAN.name, GENERATES)
    steps = json.loads((project / "overlay.json").read_text())
    checks = len(steps) + sum("code" in step for step in steps)
    assert f"{checks} checked, 0 failed" in output
    table.add(POSTMAN.name, WORKS)


def test_another_status_than_the_overlay_expects_fails_the_run(
    project: Path, document: Path, demo: Server
) -> None:
    """Without this, the other test would prove nothing."""
    steps = [{"request": "Retrieve my profile", "status": 200}]
    (project / "overlay.json").write_text(json.dumps(steps))

    with pytest.raises(AssertionError, match="1 checked, 1 failed"):
        run_program([NODE, "run.mjs", document, demo.url], project)
