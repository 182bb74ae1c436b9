"""Bundles the files in `openapi/` into one self-contained OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson
import yaml

from orderly.contract.references import escape, find

# The directory is next to the packages, both in a checkout and in an installed wheel.
DIRECTORY: Final = Path(__file__).resolve().parents[2] / "openapi"
SECTIONS: Final = ("schemas", "parameters", "headers", "responses", "examples")

# The currency in the files; `load` replaces it by the shop's own.
_WRITTEN_CURRENCY: Final = "EUR"
_ISO_4217: Final = re.compile(r"[A-Z]{3}", re.ASCII)
# Extensions that name the code behind an operation: clients do not need them.
_IMPLEMENTATION: Final = re.compile(r"x-openapi-router-controller|x-\w+InfoFunc", re.ASCII)


class DocumentError(Exception):
    """The files cannot be bundled; the message names the file and the position in it."""

    def __init__(self, file: Path, pointer: str, reason: str) -> None:
        super().__init__(f"{file}#{pointer}: {reason}")


def load(
    currency: str = _WRITTEN_CURRENCY,
    *,
    cookie_names: Mapping[str, str] = MappingProxyType({}),
    directory: Path = DIRECTORY,
) -> dict[str, Any]:
    """Return the bundled document for a shop with this currency (ISO 4217).

    `cookie_names` maps the names of the session cookies in the files to their actual names.

    Each file below `components/` becomes the component with its name; references to it become
    `#/components/...`. A reference to any other file is replaced by the content of that file.

    Raises:
        DocumentError: a file cannot be read, a reference has no target, two components have the
            same name, or nothing refers to a component.
        ValueError: the currency is not three capital letters.
    """
    if not _ISO_4217.fullmatch(currency):
        raise ValueError(f"not a currency code: {currency!r}")
    document = _Bundle(directory.resolve()).document()
    schema = document["components"]["schemas"]["Currency"]
    schema.update({"enum": [currency]}, **({"example": currency} if "example" in schema else {}))
    _replace_currency(document, currency)
    if cookie_names:
        document = _rename(document, cookie_names)
    return document


def published(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy for clients, without the extensions that name the code of an operation.

    `x-required-role` is kept: clients use it.
    """
    public: dict[str, Any] = _without_implementation(document)
    return public


def as_json(document: Mapping[str, Any]) -> bytes:
    """Return the document as indented JSON; keys keep their order."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def as_yaml(document: Mapping[str, Any]) -> bytes:
    """Return the document as YAML that versions 1.1 and 1.2 read alike; keys keep their order."""
    text: bytes = yaml.dump(
        document, Dumper=_Dumper, encoding="utf-8", allow_unicode=True, sort_keys=False, width=100
    )
    return text


class _Bundle:
    """Collects the components of a document by following its references from the root file."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._root = directory / "openapi.yaml"
        self._components: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        self._files: dict[tuple[str, str], Path] = {}
        self._contents: dict[Path, Any] = {}

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = self._bundle(self._content(self._root), self._root, "")
        self._refuse_unused_components()
        components = document.setdefault("components", {})
        for section, named in self._components.items():
            for name in components.get(section, {}).keys() & named.keys():
                pointer = f"/components/{section}/{name}"
                raise DocumentError(
                    self._root, pointer, f"{self._files[section, name]} has the same name"
                )
            components[section] = dict(sorted({**components.get(section, {}), **named}.items()))
        _refuse_dangling_references(document, self._root)
        return document

    def _bundle(self, node: Any, file: Path, pointer: str) -> Any:
        """Return a copy of a node with its references to files replaced."""
        if isinstance(node, list):
            return [
                self._bundle(item, file, f"{pointer}/{index}") for index, item in enumerate(node)
            ]
        if not isinstance(node, dict):
            return node
        if isinstance(node.get("$ref"), str):
            return self._bundle_reference(node, file, pointer)
        return {
            key: self._bundle(value, file, f"{pointer}/{escape(key)}")
            for key, value in node.items()
        }

    def _bundle_reference(self, node: dict[str, Any], file: Path, pointer: str) -> Any:
        path, _, fragment = node["$ref"].partition("#")
        if not path:
            if file != self._root:
                raise DocumentError(file, pointer, "only the root file may use '#/...' references")
            return dict(node)
        target = (file.parent / path).resolve()
        if not target.is_file():
            raise DocumentError(file, pointer, f"there is no file {target}")
        section = self._section_of(target)
        if section is None:
            try:
                content = find(self._content(target), fragment)
            except LookupError as error:
                raise DocumentError(
                    file, pointer, f"there is nothing at {target}#{fragment}"
                ) from error
            return self._bundle(content, target, fragment)
        if fragment:
            raise DocumentError(file, pointer, f"{node['$ref']} refers to a part of a component")
        self._add_component(section, target, file, pointer)
        return {"$ref": f"#/components/{section}/{target.stem}"}

    def _add_component(self, section: str, target: Path, file: Path, pointer: str) -> None:
        name = target.stem
        known = self._files.setdefault((section, name), target)
        if known != target:
            raise DocumentError(file, pointer, f"{target} has the same name as {known}")
        if name not in self._components[section]:
            # Added before its references are followed: a component may refer to itself.
            self._components[section][name] = {}
            self._components[section][name] = self._bundle(self._content(target), target, "")

    def _section_of(self, target: Path) -> str | None:
        components = self._directory / "components"
        section = target.relative_to(components).parts[0] if components in target.parents else ""
        return section if section in SECTIONS else None

    def _content(self, file: Path) -> Any:
        if file not in self._contents:
            try:
                with file.open("rb") as stream:
                    self._contents[file] = yaml.load(stream, _Loader)  # noqa: S506  # a safe loader
            except (OSError, yaml.YAMLError) as error:
                raise DocumentError(file, "", " ".join(str(error).split())) from error
        return self._contents[file]

    def _refuse_unused_components(self) -> None:
        used = set(self._files.values())
        for file in sorted((self._directory / "components").rglob("*.*")):
            if file not in used:
                raise DocumentError(file, "", "nothing refers to this component")


def _refuse_dangling_references(document: Mapping[str, Any], root: Path) -> None:
    for pointer, reference in _references(document, ""):
        try:
            find(document, reference.removeprefix("#"))
        except LookupError as error:
            raise DocumentError(root, pointer, f"there is nothing at {reference}") from error


def _references(node: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield pointer, node["$ref"]
        for key, value in node.items():
            yield from _references(value, f"{pointer}/{escape(key)}")
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _references(item, f"{pointer}/{index}")


def _replace_currency(node: Any, currency: str) -> None:
    """Replace the currency of the amounts in all examples."""
    if isinstance(node, dict):
        if node.get("currency") == _WRITTEN_CURRENCY:
            node["currency"] = currency
        for value in node.values():
            _replace_currency(value, currency)
    elif isinstance(node, list):
        for item in node:
            _replace_currency(item, currency)


def _rename(node: Any, names: Mapping[str, str]) -> Any:
    """Return a copy with names replaced in all texts, also within patterns and descriptions."""
    if isinstance(node, Mapping):
        return {key: _rename(value, names) for key, value in node.items()}
    if isinstance(node, list):
        return [_rename(item, names) for item in node]
    if isinstance(node, str):
        for written_name, actual_name in names.items():
            node = node.replace(written_name, actual_name)
    return node


def _without_implementation(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {
            key: _without_implementation(value)
            for key, value in node.items()
            if not _IMPLEMENTATION.fullmatch(key)
        }
    return [_without_implementation(item) for item in node] if isinstance(node, list) else node


_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Loader(_SafeLoader):
    """Loads a timestamp as a text: JSON has no timestamps."""

    yaml_implicit_resolvers: Final = {
        first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in _SafeLoader.yaml_implicit_resolvers.items()
    }


class _Dumper(_SafeDumper):
    """Writes texts of several lines as blocks, and never uses anchors and aliases."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


_Dumper.add_representer(str, _represent_text)
