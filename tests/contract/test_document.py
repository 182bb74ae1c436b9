"""The files in openapi/ are bundled into one document; an error names the file and the place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from connexion.spec import Specification
from openapi_spec_validator import validate

from handlers.responses import BASE_PATH
from orderly.contract.bundle import DocumentError
from orderly.contract.document import as_json, as_yaml, load, published

ROOT = """\
openapi: 3.0.3
paths:
  /money:
    $ref: paths/money.yaml#/money
"""
PATHS = """\
money:
  get:
    responses:
      '200':
        content:
          application/json:
            schema:
              $ref: ../components/schemas/Money.yaml
"""
MONEY = """\
type: object
properties:
  currency:
    $ref: ./Currency.yaml
"""
CURRENCY = "enum: [EUR]\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Write a valid document of four files."""
    for name, text in {
        "openapi.yaml": ROOT,
        "paths/money.yaml": PATHS,
        "components/schemas/Money.yaml": MONEY,
        "components/schemas/Currency.yaml": CURRENCY,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def references(node: Any) -> set[str]:
    """Return the targets of all references in a document."""
    if isinstance(node, dict):
        target = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return target.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def test_the_document_is_valid_openapi() -> None:
    validate(load())


def test_connexion_loads_the_document() -> None:
    assert list(load()["paths"]) == list(Specification.load(load())["paths"])


def test_the_document_refers_to_its_own_components_only() -> None:
    document = load()

    assert all(target.startswith("#/components/") for target in references(document))
    assert set(document["components"]["schemas"]) >= {"Money", "Order", "Product", "Problem"}


def test_each_call_returns_a_new_document() -> None:
    load()["info"]["title"] = "Changed"

    assert load()["info"]["title"] == "Orderly"


def test_the_shops_currency_replaces_the_currency_in_the_files() -> None:
    document = load("JPY")

    assert document["components"]["schemas"]["Currency"]["enum"] == ["JPY"]
    assert "EUR" not in as_json(document).decode()
    assert as_json(document).count(b'"JPY"') == as_json(load()).count(b'"EUR"')


@pytest.mark.parametrize("currency", ["", "eur", "EURO", "EU\n", "€UR"])
def test_an_invalid_currency_is_rejected(currency: str) -> None:
    with pytest.raises(ValueError, match="not a currency code"):
        load(currency)


def test_timestamps_stay_strings() -> None:
    example = load()["components"]["examples"]["registered"]["value"]

    assert example["created_at"] == "2025-11-03T08:15:00Z"


def test_the_published_document_does_not_name_python_functions() -> None:
    document = load()
    document["components"]["securitySchemes"]["bearerAuth"]["x-bearerInfoFunc"] = "some.function"
    before = json.dumps(document)

    text = as_json(published(document))

    assert b"x-openapi-router-controller" not in text
    assert b"InfoFunc" not in text
    assert b'"x-required-role": "ADMIN"' in text
    assert json.dumps(document) == before


def test_the_request_bodies_of_links_are_published_only_for_tests() -> None:
    document = load()
    before = json.dumps(document)

    served, full = published(document), published(document, with_link_bodies=True)
    for key in ("paths", "/products", "get", "responses", "200", "links", "order_first"):
        served, full = served[key], full[key]
    assert "requestBody" not in served
    assert {"items"} == full["requestBody"].keys()
    assert served == {name: value for name, value in full.items() if name != "requestBody"}
    assert json.dumps(document) == before


def test_the_json_and_yaml_documents_are_equal() -> None:
    document = published(load())

    assert json.loads(as_json(document)) == document
    assert yaml.safe_load(as_yaml(document)) == document


@pytest.mark.parametrize(
    "text",
    ["00340434161094000017", "009", "1e3", "+1.5E-2", ".5", "7.", "0o17", "0xFF", "42", "no"],
)
def test_a_string_that_yaml_1_1_or_1_2_reads_as_another_type_is_quoted(text: str) -> None:
    assert f"value: '{text}'\n" == as_yaml({"value": text}).decode()


def test_yaml_keeps_the_order_of_keys_and_the_line_breaks() -> None:
    text = as_yaml(published(load())).decode()

    assert text.startswith("openapi: 3.0.3\ninfo:\n  title: Orderly\n")
    assert "\n  description: |-\n    " in text
    assert "&id" not in text  # no YAML anchors


def test_each_component_file_becomes_a_component_with_its_name(files: Path) -> None:
    document = load(directory=files)

    assert document["paths"]["/money"]["get"]["responses"]["200"]["content"] == {
        "application/json": {"schema": {"$ref": "#/components/schemas/Money"}}
    }
    assert document["components"]["schemas"] == {
        "Currency": {"enum": ["EUR"]},
        "Money": {
            "type": "object",
            "properties": {"currency": {"$ref": "#/components/schemas/Currency"}},
        },
    }


def test_an_extensible_enum_gets_the_values_of_the_schema_to_which_it_refers(files: Path) -> None:
    kind = "  kind: {x-extensible-enum: {$ref: ./Kind.yaml}}\n"
    (files / "components/schemas/Money.yaml").write_text(MONEY + kind)
    (files / "components/schemas/Kind.yaml").write_text("enum: [COIN, NOTE]\n")

    schemas = load(directory=files)["components"]["schemas"]

    assert schemas["Money"]["properties"]["kind"] == {"x-extensible-enum": ["COIN", "NOTE"]}
    assert schemas["Kind"] == {"enum": ["COIN", "NOTE"]}


def test_a_discriminator_gets_a_mapping_from_the_enums_of_the_schemas(files: Path) -> None:
    union = "  kind: {oneOf: [{$ref: ./Coin.yaml}], discriminator: {propertyName: kind}}\n"
    (files / "components/schemas/Money.yaml").write_text(MONEY + union)
    (files / "components/schemas/Coin.yaml").write_text("properties: {kind: {enum: [penny]}}\n")

    kind = load(directory=files)["components"]["schemas"]["Money"]["properties"]["kind"]

    assert kind["discriminator"] == {
        "propertyName": "kind",
        "mapping": {"penny": "#/components/schemas/Coin"},
    }


def test_a_component_can_refer_to_itself(files: Path) -> None:
    (files / "components/schemas/Money.yaml").write_text(MONEY + "  of: {$ref: ./Money.yaml}\n")

    money = load(directory=files)["components"]["schemas"]["Money"]

    assert money["properties"]["of"] == {"$ref": "#/components/schemas/Money"}


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "paths/money.yaml",
            "other: {}\n",
            r"openapi\.yaml#/paths/~1money: there is nothing at .*money$",
        ),
        ("paths/money.yaml", "a: [\n", r"paths/money\.yaml#: .*line 2"),
        (
            "components/schemas/Money.yaml",
            MONEY + "  rate: {$ref: ./Rate.yaml}\n",
            r"schemas/Money\.yaml#/properties/rate: there is no file .*Rate\.yaml$",
        ),
        (
            "components/schemas/Money.yaml",
            MONEY + "  rate: {$ref: '#/properties/currency'}\n",
            r"Money\.yaml#/properties/rate: only the root file may use",
        ),
        (
            "components/schemas/Money.yaml",
            MONEY + "  rate: {$ref: './Currency.yaml#/enum'}\n",
            r"Money\.yaml#/properties/rate: .* refers to a part of a component$",
        ),
        (
            "components/schemas/Money.yaml",
            MONEY + "  kind: {x-extensible-enum: [COIN, NOTE]}\n",
            r"/properties/kind/x-extensible-enum: x-extensible-enum must refer to a schema",
        ),
        ("components/schemas/Rate.yaml", "{}\n", r"Rate\.yaml#: nothing refers to this component$"),
        (
            "openapi.yaml",
            ROOT + "components: {schemas: {Money: {}}}\n",
            r"openapi\.yaml#/components/schemas/Money: .*Money\.yaml has the same name$",
        ),
        (
            "openapi.yaml",
            ROOT + "  /coins: {$ref: '#/paths/~1coin'}\n",
            r"openapi\.yaml#/paths/~1coins: there is nothing at #/paths/~1coin$",
        ),
    ],
)
def test_an_invalid_file_is_rejected_with_its_place(
    files: Path, file: str, text: str, message: str
) -> None:
    (files / file).write_text(text)

    with pytest.raises(DocumentError, match=message):
        load(directory=files)


def test_two_components_with_the_same_name_are_rejected(files: Path) -> None:
    (files / "components/schemas/old").mkdir()
    (files / "components/schemas/old/Currency.yaml").write_text("{}\n")
    (files / "components/schemas/Money.yaml").write_text(
        MONEY + "  old: {$ref: ./old/Currency.yaml}\n"
    )

    with pytest.raises(DocumentError, match=r"#/properties/old: .*has the same name as"):
        load(directory=files)


def test_handlers_use_the_base_path_of_the_document() -> None:
    assert BASE_PATH == load()["servers"][0]["url"]
