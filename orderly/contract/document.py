"""Makes one self-contained OpenAPI document of the many files in which it is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson
import yaml

# In a checkout and in an installed wheel alike, the folder stands beside the packages.
DIRECTORY: Final = Path(__file__).resolve().parents[2] / "openapi"
SECTIONS: Final = ("schemas", "parameters", "headers", "responses", "examples")

# The document is written in this currency; `load` puts the shop's own in its place.
_WRITTEN_CURRENCY: Final = "EUR"
_ISO_4217: Final = re.compile(r"[A-Z]{3}", re.ASCII)
# Where the code is, and which of it answers, concerns nobody who calls it.
_IMPLEMENTATION: Final = re.compile(r"x-openapi-router-controller|x-\w+InfoFunc", re.ASCII)


class DocumentError(Exception):
    """The files do not make one document; the message names the file and the place in it."""

    def __init__(self, file: Path, pointer: str, fault: str) -> None:
        super().__init__(f"{file}#{pointer}: {fault}")


def load(
    currency: str = _WRITTEN_CURRENCY,
    *,
    cookie_names: Mapping[str, str] = MappingProxyType({}),
    directory: Path = DIRECTORY,
) -> dict[str, Any]:
    """Return the document in one piece, for a shop of that currency (ISO 4217).

    `cookie_names` are those that the session's cookies really have, by the names that the document
    is written with.

    Each file below `components/` becomes the component of its name, referred to from everywhere
    as `#/components/...`; a reference to any other file is replaced by what it refers to.

    Raises:
        DocumentError: a file cannot be read, a reference leads nowhere, two components have one
            name, or nothing refers to a component.
        ValueError: the currency is not three capital letters.
    """
    if not _ISO_4217.fullmatch(currency):
        raise ValueError(f"not the code of a currency: {currency!r}")
    document = _Bundle(directory.resolve()).document()
    schema = document["components"]["schemas"]["Currency"]
    schema.update({"enum": [currency]}, **({"example": currency} if "example" in schema else {}))
    _replace_currency(document, currency)
    if cookie_names:
        document = _renamed(document, cookie_names)
    return document


def published(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy without the extensions that say which code answers.

    `x-required-role` stays: it tells clients who may make an operation.
    """
    public: dict[str, Any] = _without_implementation(document)
    return public


def as_json(document: Mapping[str, Any]) -> bytes:
    """Return the document as indented JSON, its keys in the order in which they are written."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def as_yaml(document: Mapping[str, Any]) -> bytes:
    """Return the document as YAML 1.1 and 1.2 read it, keys in the order they are written in."""
    text: bytes = yaml.dump(
        document, Dumper=_Dumper, encoding="utf-8", allow_unicode=True, sort_keys=False, width=100
    )
    return text


class _Bundle:
    """The pieces of a document, gathered by following its references from the root."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._root = directory / "openapi.yaml"
        self._components: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        self._files: dict[tuple[str, str], Path] = {}
        self._read: dict[Path, Any] = {}

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = self._bundled(self._content(self._root), self._root, "")
        self._refuse_unused()
        components = document.setdefault("components", {})
        for section, named in self._components.items():
            for name in components.get(section, {}).keys() & named.keys():
                place = f"/components/{section}/{name}"
                raise DocumentError(
                    self._root, place, f"{self._files[section, name]} has the same name"
                )
            components[section] = dict(sorted({**components.get(section, {}), **named}.items()))
        _refuse_dangling(document, self._root)
        return document

    def _bundled(self, node: Any, file: Path, pointer: str) -> Any:
        """Return a copy of a node with its references to files replaced."""
        if isinstance(node, list):
            return [
                self._bundled(item, file, f"{pointer}/{index}") for index, item in enumerate(node)
            ]
        if not isinstance(node, dict):
            return node
        if isinstance(node.get("$ref"), str):
            return self._referred(node, file, pointer)
        return {
            key: self._bundled(value, file, f"{pointer}/{_escaped(key)}")
            for key, value in node.items()
        }

    def _referred(self, node: dict[str, Any], file: Path, pointer: str) -> Any:
        path, _, fragment = node["$ref"].partition("#")
        if not path:
            if file != self._root:
                raise DocumentError(file, pointer, "only the root may refer to itself by '#'")
            return dict(node)
        target = (file.parent / path).resolve()
        if not target.is_file():
            raise DocumentError(file, pointer, f"there is no file {target}")
        section = self._section_of(target)
        if section is None:
            place = self._content(target)
            for step in fragment.split("/")[1:]:
                key = step.replace("~1", "/").replace("~0", "~")
                if not isinstance(place, dict) or key not in place:
                    raise DocumentError(file, pointer, f"nothing is at {target}#{fragment}")
                place = place[key]
            return self._bundled(place, target, fragment)
        if fragment:
            raise DocumentError(file, pointer, f"{node['$ref']} is a part of a component")
        self._gather(section, target, file, pointer)
        return {"$ref": f"#/components/{section}/{target.stem}"}

    def _gather(self, section: str, target: Path, file: Path, pointer: str) -> None:
        name = target.stem
        known = self._files.setdefault((section, name), target)
        if known != target:
            raise DocumentError(file, pointer, f"{target} has the same name as {known}")
        if name not in self._components[section]:
            self._components[section][name] = {}  # known before its own references are followed
            self._components[section][name] = self._bundled(self._content(target), target, "")

    def _section_of(self, target: Path) -> str | None:
        components = self._directory / "components"
        section = target.relative_to(components).parts[0] if components in target.parents else ""
        return section if section in SECTIONS else None

    def _content(self, file: Path) -> Any:
        if file not in self._read:
            try:
                with file.open("rb") as stream:
                    self._read[file] = yaml.load(stream, _Loader)  # noqa: S506  # a safe loader
            except (OSError, yaml.YAMLError) as error:
                raise DocumentError(file, "", " ".join(str(error).split())) from error
        return self._read[file]

    def _refuse_unused(self) -> None:
        used = set(self._files.values())
        for file in sorted((self._directory / "components").rglob("*.*")):
            if file not in used:
                raise DocumentError(file, "", "nothing refers to this component")


def _refuse_dangling(document: Mapping[str, Any], root: Path) -> None:
    for pointer, reference in _references(document, ""):
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            if not isinstance(place, Mapping) or step not in place:
                raise DocumentError(root, pointer, f"nothing is at {reference}")
            place = place[step]


def _references(node: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield pointer, node["$ref"]
        for key, value in node.items():
            yield from _references(value, f"{pointer}/{_escaped(key)}")
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _references(item, f"{pointer}/{index}")


def _escaped(key: object) -> str:
    # RFC 6901, section 3
    return str(key).replace("~", "~0").replace("/", "~1")


def _replace_currency(node: Any, currency: str) -> None:
    """Put the shop's currency into the amounts of all examples."""
    if isinstance(node, dict):
        if node.get("currency") == _WRITTEN_CURRENCY:
            node["currency"] = currency
        for value in node.values():
            _replace_currency(value, currency)
    elif isinstance(node, list):
        for item in node:
            _replace_currency(item, currency)


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    """Return a copy with names replaced wherever a text has them, patterns and prose too."""
    if isinstance(node, Mapping):
        return {key: _renamed(value, names) for key, value in node.items()}
    if isinstance(node, list):
        return [_renamed(item, names) for item in node]
    if isinstance(node, str):
        for written, real in names.items():
            node = node.replace(written, real)
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


class _Loader(_SafeLoader):  # which of the two is known at run time only
    """Reads a time as the text it is written in, as JSON does."""

    yaml_implicit_resolvers: Final = {
        first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in _SafeLoader.yaml_implicit_resolvers.items()
    }


class _Dumper(_SafeDumper):
    """Writes text of several lines as such, and everything out where it stands."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


_Dumper.add_representer(str, _represent_text)
