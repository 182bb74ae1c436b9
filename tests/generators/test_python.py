"""Clients in Python: generated from the served document, type-checked, and used."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.generators.catalogue import JAVA, PYTHON, Generator
from tests.generators.conftest import assert_steps, new_project
from tests.generators.table import COMPILES, GENERATES, WORKS, Table
from tests.support.client_programs import run_program
from tests.support.processes import Server


class Project(NamedTuple):
    """A program, and the client that a generator has written for it."""

    generator: Generator
    directory: Path

    def check_types(self) -> None:
        """Check the types of the program, strictly, and of the client."""
        mypy = [sys.executable, "-m", "mypy"]
        run_program([*mypy, "--strict", "--follow-imports=silent", "program.py"], self.directory)
        # openapi-generator writes the settings that its client fulfils; they are less strict.
        settings = self.directory / "pyproject.toml"
        strict = ["--config-file", settings] if settings.exists() else ["--strict"]
        run_program([*mypy, *strict, "orderly_client"], self.directory)


@pytest.fixture(scope="module", params=PYTHON, ids=lambda generator: generator.program)
def project(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    document: Path,
    table: Table,
) -> Project:
    """Generate a client."""
    generator: Generator = request.param
    directory = tmp_path_factory.mktemp(generator.program)
    new_project(directory, document, generator, "python")
    table.add(generator.name, GENERATES)
    return Project(generator, directory)


def test_the_program_and_the_client_have_right_types(project: Project, table: Table) -> None:
    project.check_types()
    program = project.directory / "program.py"
    assert "Any" not in program.read_text()

    table.add(project.generator.name, COMPILES)


def test_the_program_registers_orders_reads_a_conflict_and_exchanges_csv(
    project: Project, demo: Server, table: Table
) -> None:
    name = project.generator.program.replace("_", "-")

    assert_steps(
        run_program([sys.executable, "program.py", demo.url, f"py-{name}"], project.directory)
    )

    table.add(project.generator.name, WORKS)


def test_a_name_that_the_document_does_not_have_is_an_error(project: Project) -> None:
    """Without this, the other checks would prove nothing."""
    program = project.directory / "program.py"
    right = program.read_text()
    assert "product.sku" in right
    try:
        program.write_text(right.replace("product.sku", "product.number"))
        with pytest.raises(AssertionError, match=r"program\.py:\d+: error"):
            project.check_types()
    finally:
        program.write_text(right)


def test_a_client_in_java_is_generated(tmp_path: Path, document: Path, table: Table) -> None:
    new_project(tmp_path, document, JAVA, "java")

    models = tmp_path / "client/src/main/java/org/openapitools/client/model"
    assert (models / "InsufficientStockProblem.java").is_file()
    table.add(JAVA.name, GENERATES)
