"""Fixtures: a server with the demo's data, its document, and the table of what works."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.test_typescript import NODE
from tests.generators.catalogue import DIRECTORY, ROOT, Generator, version_of
from tests.generators.table import Table
from tests.support.client_programs import run_program
from tests.support.processes import Server, run_server

# Each program registers and signs in: more often than one client usually may.
_SETTINGS = {
    "ORDERLY_VALIDATE_RESPONSES": "true",
    "ORDERLY_REGISTRATION_LIMIT": "1000",
    "ORDERLY_SIGN_IN_LIMIT": "1000",
}


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server with the demo data and response validation."""
    with run_server(tmp_path_factory.mktemp("demo") / "data", "--demo", **_SETTINGS) as server:
        yield server


@pytest.fixture(scope="package")
def document(demo: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with the OpenAPI document that the server serves."""
    file = tmp_path_factory.mktemp("document") / "openapi.json"
    file.write_bytes(demo.get("/openapi.json").content)
    return file


@pytest.fixture(scope="package")
def table() -> Iterator[Table]:
    """Return the table, which is printed and written to test-output when all tests have run."""
    table = Table()
    yield table
    output = ROOT / "test-output"
    output.mkdir(exist_ok=True)
    (output / "generators.md").write_text(table.markdown())
    print(f"\n{table.markdown()}")


def new_project(
    directory: Path, document: Path, generator: Generator, language: str, **variables: str
) -> Path:
    """Copy the program of a generator and the document, and generate the client."""
    shutil.copy(document, directory)
    _link_packages(directory, generator)
    (directory / "client").mkdir()
    for file in (DIRECTORY / language).glob("*"):
        if file.stem in {"steps", generator.program}:
            name = file.name if file.stem == "steps" else f"program{file.suffix}"
            shutil.copy(file, directory / name)
    for name in ("tsconfig.json", "orval.config.mjs", "any.mjs"):
        shutil.copy(DIRECTORY / name, directory)
    shutil.copy(ROOT / "docs/examples/python-client/openapi-python-client.yaml", directory)
    run_program(command_of(generator), directory, **variables)
    return directory


def _link_packages(directory: Path, generator: Generator) -> None:
    """Link the installed packages, and zod 4 under the name `zod` for a generator that uses it."""
    modules = directory / "node_modules"
    modules.mkdir()
    for package in (DIRECTORY / "node_modules").iterdir():
        (modules / package.name).symlink_to(package)
    if "zod-4" in generator.packages:
        (modules / "zod").unlink()
        (modules / "zod").symlink_to(DIRECTORY / "node_modules/zod-4")
        # orval looks for the version of zod here.
        dependencies = {"dependencies": {"zod": version_of("zod-4")}}
        (directory / "package.json").write_text(json.dumps(dependencies))


def command_of(generator: Generator) -> list[str | Path]:
    """Return the command with the path of its program."""
    program, *arguments = shlex.split(generator.command)
    installed = Path(sys.executable).with_name(program)
    if installed.exists():
        return [installed, *arguments]
    return [NODE, f"node_modules/.bin/{program}", *arguments]


def assert_steps(output: str) -> None:
    """Check the lines that each program prints, whose numbers depend on the other programs."""
    lines = output.splitlines()
    expected = [
        ("registered: ", " CLIENT"),
        ("signed in: Bearer", ""),
        ("found: GRINDER-01 6490 ", "EUR"),
        ("ordered: PENDING 6490", ""),
        ("refused: 409 insufficient_stock, wanted 900, there are ", ""),
        ("signed in: Bearer", ""),
        ("imported: 1 created", ""),
        ("exported: with the new product", ""),
    ]
    assert len(expected) == len(lines), output
    for (start, end), line in zip(expected, lines, strict=True):
        assert line.startswith(start), output
        assert line.endswith(end), output


def node_path() -> str:
    """Return PATH with Node.js, for programs that start it."""
    return f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"
