"""Loads the OpenAPI document for one shop, and formats it for publication."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson
import yaml

from orderly.contract.bundle import bundle

# The directory is next to the packages, both in a checkout and in an installed wheel.
DIRECTORY: Final = Path(__file__).resolve().parents[2] / "openapi"

# The extension of a server whose data may be created and changed by tests.
TEST_SYSTEM: Final = "x-test-system"
# The placeholder in the files. `load` replaces it with the shop's currency.
_PLACEHOLDER_CURRENCY: Final = "EUR"
_ISO_4217: Final = re.compile(r"[A-Z]{3}", re.ASCII)
# The methods that the contract uses
_METHODS: Final = ("get", "post", "put", "patch", "delete")
# Extensions that name the code behind an operation. Clients do not need them.
_IMPLEMENTATION: Final = re.compile(r"x-openapi-router-controller|x-\w+InfoFunc", re.ASCII)

# The numbers of YAML 1.2. PyYAML, which implements version 1.1, writes some of these strings
# without quotes, such as 00340434161094000017, which is no number in version 1.1.
_NUMBER = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def load(
    currency: str = _PLACEHOLDER_CURRENCY,
    *,
    cookie_names: Mapping[str, str] = MappingProxyType({}),
    directory: Path = DIRECTORY,
) -> dict[str, Any]:
    """Return the bundled document for a shop with this currency (ISO 4217).

    `cookie_names` maps the names of the session cookies in the files to their actual names.

    Raises:
        DocumentError: the files cannot be bundled.
        ValueError: the currency is not three capital letters.
    """
    if not _ISO_4217.fullmatch(currency):
        raise ValueError(f"not a currency code: {currency!r}")
    document = bundle(directory)
    schema = document["components"]["schemas"]["Currency"]
    schema["enum"] = [currency]
    if "example" in schema:
        schema["example"] = currency
    _replace_currency(document, currency)
    if cookie_names:
        document = _replace_names(document, cookie_names)
    return document


def published(
    document: Mapping[str, Any], *, with_link_bodies: bool = False, test_system: bool = False
) -> dict[str, Any]:
    """Return a copy for clients, without the extensions that name the code behind an operation.

    `x-required-role` stays: it documents who may call an operation. The request bodies of links
    are removed unless `with_link_bodies`: they are for tests that follow links, but
    openapi-generator takes a body with several members for an error. The document of a test system
    says so at its server: see `TEST_SYSTEM`.
    """
    public: dict[str, Any] = _without_implementation(document)
    for link in [] if with_link_bodies else links(public):
        link.pop("requestBody", None)
    if test_system:
        server, *others = public["servers"]
        description = f"{server['description']}, a test system"
        public["servers"] = [{**server, "description": description, TEST_SYSTEM: True}, *others]
    return public


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the path, the method and the object of each operation."""
    for path, path_item in document["paths"].items():
        for method in _METHODS:
            if method in path_item:
                yield path, method, path_item[method]


def links(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each Link Object of the responses of operations."""
    for _, _, operation in operations(document):
        for response in operation.get("responses", {}).values():
            yield from response.get("links", {}).values()


def as_json(document: Mapping[str, Any]) -> bytes:
    """Return the document as indented JSON; keys keep their order."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def as_yaml(document: Mapping[str, Any]) -> bytes:
    """Return the document as YAML (valid in versions 1.1 and 1.2); keys keep their order."""
    text: bytes = yaml.dump(
        document, Dumper=_Dumper, encoding="utf-8", allow_unicode=True, sort_keys=False, width=100
    )
    return text


def _replace_currency(node: Any, currency: str) -> None:
    """Replace the currency of all amounts in the examples."""
    if isinstance(node, dict):
        if node.get("currency") == _PLACEHOLDER_CURRENCY:
            node["currency"] = currency
        for value in node.values():
            _replace_currency(value, currency)
    elif isinstance(node, list):
        for item in node:
            _replace_currency(item, currency)


def _replace_names(node: Any, names: Mapping[str, str]) -> Any:
    """Return a copy with names replaced in all strings, including patterns and descriptions."""
    if isinstance(node, Mapping):
        return {key: _replace_names(value, names) for key, value in node.items()}
    if isinstance(node, list):
        return [_replace_names(item, names) for item in node]
    if isinstance(node, str):
        for placeholder, actual_name in names.items():
            node = node.replace(placeholder, actual_name)
    return node


def _without_implementation(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {
            key: _without_implementation(value)
            for key, value in node.items()
            if not _IMPLEMENTATION.fullmatch(key)
        }
    return [_without_implementation(item) for item in node] if isinstance(node, list) else node


class _Dumper(_SafeDumper):
    """Writes multi-line strings as block scalars, and never uses anchors and aliases."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else "'" if _NUMBER.fullmatch(text) else None
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


_Dumper.add_representer(str, _represent_text)
