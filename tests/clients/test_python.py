"""The Python client: generated from the served document, type-checked and run."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.client_programs import assert_scenario, run_program
from tests.support.processes import Server

pytest.importorskip("openapi_python_client", reason="tox -e clients installs the generator")


@pytest.fixture(scope="module")
def project(document: Path, examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the generated package and the program that uses it."""
    project = tmp_path_factory.mktemp("python")
    example = examples / "python-client"
    shutil.copy(example / "shop.py", project)
    run_program(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate"),
            *("--path", document, "--config", example / "openapi-python-client.yaml"),
            *("--meta", "none", "--fail-on-warning", "--output-path", "orderly_client"),
        ],
        project,
    )
    return project


def test_the_example_program_runs_the_scenario(project: Path, demo: Server) -> None:
    assert_scenario(run_program([sys.executable, "shop.py", demo.url], project))


def test_the_client_passes_strict_type_checking(project: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict"]

    assert "Success" in run_program([*command, "shop.py", "orderly_client"], project)
    assert "Any" not in (project / "shop.py").read_text()


def test_schemas_and_operations_have_the_names_of_the_document(
    project: Path, document: Path
) -> None:
    """Objects and enums become classes; strings and numbers have Python's own types."""
    contract = json.loads(document.read_text())
    package = project / "orderly_client"
    exported = set(re.findall(r'"(\w+)"', (package / "models" / "__init__.py").read_text()))
    operations = {file.stem for file in package.glob("api/*/*.py")} - {"__init__"}

    assert {
        name
        for name, schema in contract["components"]["schemas"].items()
        # A nullable object becomes a union, whose class for the object has another name. The
        # generator uses the class Problem for the problem of each code.
        if (schema.get("type") == "object" and not schema.keys() & {"nullable", "allOf"})
        or "enum" in schema
    } <= exported
    assert {
        operation["operationId"]
        for item in contract["paths"].values()
        for name, operation in item.items()
        if name != "parameters"
    } == operations


def test_the_type_checker_rejects_names_that_the_document_does_not_have(project: Path) -> None:
    """Without this, the other checks would prove nothing."""
    shop = (project / "shop.py").read_text()
    for right, wrong in (
        ("product_id=product.id", "product=product.id"),
        ('status="SHIPPED"', 'status="SHIPED"'),
        ("product.price.amount", "product.cost"),
        ('"insufficient_stock"', '"insuficient_stock"'),
    ):
        assert right in shop
        (project / "wrong.py").write_text(shop.replace(right, wrong, 1))
        with pytest.raises(AssertionError, match=r"wrong\.py:\d+: error"):
            run_program([sys.executable, "-m", "mypy", "--strict", "wrong.py"], project)
