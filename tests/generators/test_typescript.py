"""Clients in TypeScript: generated from the served document, compiled strictly, and used."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.clients.test_typescript import NODE
from tests.generators.catalogue import TYPESCRIPT, Generator
from tests.generators.conftest import assert_steps, new_project
from tests.generators.table import COMPILES, GENERATES, WORKS, Table
from tests.support.client_programs import run_program
from tests.support.processes import Server


class Project(NamedTuple):
    """A program, and the client that a generator has written for it."""

    generator: Generator
    directory: Path

    def compile(self) -> None:
        """Check the types of the program and of all files of the client."""
        run_program([NODE, "node_modules/typescript/bin/tsc"], self.directory)

    def any_types(self) -> str:
        """Check that neither the program nor an exported type has the type `any`."""
        return run_program([NODE, "any.mjs", *self.generator.internal], self.directory)

    def run(self, url: str) -> str:
        """Run the program; return what it prints."""
        bundler = "node_modules/esbuild/bin/esbuild program.ts --bundle --platform=node"
        options = "--packages=external --format=esm --outfile=program.mjs --log-level=error"
        run_program([NODE, *bundler.split(), *options.split()], self.directory)
        name = self.generator.program.replace("_", "-")
        return run_program([NODE, "program.mjs", url, f"ts-{name}"], self.directory)


@pytest.fixture(scope="module", params=TYPESCRIPT, ids=lambda generator: generator.program)
def project(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    document: Path,
    demo: Server,
    table: Table,
) -> Project:
    """Generate a client."""
    generator: Generator = request.param
    directory = tmp_path_factory.mktemp(generator.program)
    new_project(directory, document, generator, "typescript", SHOP_URL=demo.url)
    for file in directory.glob("client/*.ts"):
        # swagger-typescript-api switches the compiler off in its files.
        file.write_text(file.read_text().replace("// @ts-nocheck", ""))
    table.add(generator.name, GENERATES)
    return Project(generator, directory)


def test_the_client_compiles_strictly_and_exports_no_any(project: Project, table: Table) -> None:
    project.compile()
    assert project.any_types().endswith(" exports, 0 times any\n")

    table.add(project.generator.name, COMPILES)


def test_the_program_registers_orders_reads_a_conflict_and_exchanges_csv(
    project: Project, demo: Server, table: Table
) -> None:
    assert_steps(project.run(demo.url))

    table.add(project.generator.name, WORKS)


def test_a_name_that_the_document_does_not_have_does_not_compile(project: Project) -> None:
    """Without this, the other checks would prove nothing."""
    program = project.directory / "program.ts"
    right = program.read_text()
    assert "product.id" in right
    try:
        program.write_text(right.replace("product.id", "product.number"))
        with pytest.raises(AssertionError, match=r"program\.ts\(\d+,\d+\): error TS"):
            project.compile()
        program.write_text(f"{right}\nexport const wrong = JSON.parse('1');\n")
        with pytest.raises(AssertionError, match=r"program: JSON\.parse"):
            project.any_types()
    finally:
        program.write_text(right)
