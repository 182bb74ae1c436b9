"""Redocly's Respect runs the workflows against a demo, and checks each response."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orderly.contract.workflows import WORKFLOWS, read_workflows
from tests.support.node_tools import REDOCLY
from tests.support.processes import Server, run_server


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server with the data of the demo."""
    with run_server(tmp_path_factory.mktemp("demo") / "data", "--demo") as server:
        yield server


def respect(file: Path, server: Server, directory: Path) -> dict[str, Any]:
    """Run the workflows of a file; return Respect's report."""
    report = directory / "report.json"
    finished = subprocess.run(
        [
            *(REDOCLY, "respect", file, "--json-output", report),
            *("--server", f"shop={server.url}/api/v1"),
            *("--input", f"new_customer_email=mary-{secrets.token_hex(8)}@example.com"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert report.exists(), finished.stdout + finished.stderr
    result: dict[str, Any] = json.loads(report.read_text())
    result["exit_status"] = finished.returncode
    result["output"] = finished.stdout + finished.stderr
    return result


@pytest.mark.parametrize("name", read_workflows())
def test_a_workflow_passes_twice(name: str, demo: Server, tmp_path: Path) -> None:
    for _ in range(2):
        result = respect(WORKFLOWS / name, demo, tmp_path)

        assert 0 == result["exit_status"], result["output"]


def test_a_step_that_expects_another_status_fails(demo: Server, tmp_path: Path) -> None:
    broken = tmp_path / "workflows" / "broken.arazzo.yaml"
    broken.parent.mkdir()
    (tmp_path / "openapi.yaml").write_bytes(demo.get("/openapi.yaml").content)
    text = (WORKFLOWS / "conflict_and_retry.arazzo.yaml").read_text()
    broken.write_text(text.replace("$statusCode == 412", "$statusCode == 200"))

    result = respect(broken, demo, tmp_path)

    assert 1 == result["exit_status"]
    assert ["change-old-version"] == _failed_steps(result)


def test_a_response_that_violates_its_schema_fails(demo: Server, tmp_path: Path) -> None:
    document = demo.get("/openapi.json").json()
    document["components"]["schemas"]["Product"]["properties"]["stock"]["maximum"] = -1
    (tmp_path / "openapi.yaml").write_text(json.dumps(document))
    (tmp_path / "workflows").mkdir()
    name = "cancel_and_restock.arazzo.yaml"
    copy = shutil.copy(WORKFLOWS / name, tmp_path / "workflows")

    result = respect(Path(copy), demo, tmp_path)

    assert 1 == result["exit_status"]
    assert ["find-product"] == _failed_steps(result)


def _failed_steps(result: dict[str, Any]) -> list[str]:
    return [
        step["stepId"]
        for file in result["files"].values()
        for workflow in file["executedWorkflows"]
        for step in workflow["executedSteps"]
        if not all(check["passed"] for check in step["checks"])
    ]
