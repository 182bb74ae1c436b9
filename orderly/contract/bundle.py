"""Bundles the files of an OpenAPI document into one self-contained document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from orderly.contract.closed_schemas import EXTENSIBLE_ENUM
from orderly.contract.references import component_name, escape, find

# The directories in `components/` whose files become components.
SECTIONS: Final = ("schemas", "parameters", "headers", "responses", "examples")

# libyaml's parser, which is ten times as fast, if PyYAML was built with it
SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class DocumentError(Exception):
    """The files cannot be bundled. The message names the file and a JSON pointer into it."""

    def __init__(self, file: Path, pointer: str, reason: str) -> None:
        super().__init__(f"{file}#{pointer}: {reason}")


def bundle(directory: Path) -> dict[str, Any]:
    """Return the document whose root file is `openapi.yaml` in the directory.

    Each file in `components/` becomes the component that is named after it, and references to the
    file become `#/components/...`. A reference to any other file is replaced by its content.

    Raises:
        DocumentError: a file cannot be read, a reference has no target, two components have the
            same name, or nothing refers to a component.
    """
    return _Bundle(directory.resolve()).document()


class _Bundle:
    """Collects the components of a document by following its references from the root file."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._root = directory / "openapi.yaml"
        self._components: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        # (Section, name) of a component -> its file.
        self._component_files: dict[tuple[str, str], Path] = {}
        self._contents: dict[Path, Any] = {}
        # (Directory, path in a reference) -> the file, or None if it does not exist
        self._targets: dict[tuple[Path, str], Path | None] = {}

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = self._bundle(self._content(self._root), self._root, "")
        self._refuse_unused_components()
        components = document.setdefault("components", {})
        for section, from_files in self._components.items():
            in_root = components.get(section, {})
            for name in in_root.keys() & from_files.keys():
                pointer = f"/components/{section}/{name}"
                file = self._component_files[section, name]
                raise DocumentError(self._root, pointer, f"{file} has the same name")
            components[section] = dict(sorted({**in_root, **from_files}.items()))
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
            return self._bundle_reference(node["$ref"], file, pointer)
        bundled = {
            key: self._known_values(value, file, f"{pointer}/{escape(key)}")
            if key == EXTENSIBLE_ENUM
            else self._bundle(value, file, f"{pointer}/{escape(key)}")
            for key, value in node.items()
        }
        if "oneOf" in bundled and isinstance(bundled.get("discriminator"), dict):
            bundled["discriminator"] = self._with_mapping(bundled)
        return bundled

    def _with_mapping(self, union: Mapping[str, Any]) -> dict[str, Any]:
        """Return the discriminator of a union with its mapping: each value, and its schema.

        Each schema lists its values in the `enum` of the discriminator's property. Without a
        mapping, the values would be the names of the schemas.
        """
        name = union["discriminator"]["propertyName"]
        schemas = {one["$ref"]: component_name(one) for one in union["oneOf"]}
        mapping = {
            value: reference
            for reference, schema in schemas.items()
            for value in self._components["schemas"][schema]["properties"][name]["enum"]
        }
        return {**union["discriminator"], "mapping": mapping}

    def _known_values(self, reference: Any, file: Path, pointer: str) -> Any:
        """Return the values of the schema to which an `x-extensible-enum` refers.

        The files list the values once, in this schema, and clients have its name as a type.
        """
        schema = self._bundle(reference, file, pointer)
        name = component_name(schema) if isinstance(schema, dict) else ""
        try:
            return self._components["schemas"][name]["enum"]
        except KeyError as error:
            reason = "x-extensible-enum must refer to a schema with an enum"
            raise DocumentError(file, pointer, reason) from error

    def _bundle_reference(self, reference: str, file: Path, pointer: str) -> Any:
        path, _, fragment = reference.partition("#")
        if not path:
            if file != self._root:
                raise DocumentError(file, pointer, "only the root file may use '#/...' references")
            return {"$ref": reference}
        target = self._target(file.parent, path)
        if target is None:
            raise DocumentError(file, pointer, f"there is no file {(file.parent / path).resolve()}")
        section = self._section_of(target)
        if section is None:
            try:
                content = find(self._content(target), fragment)
            except LookupError as error:
                reason = f"there is nothing at {target}#{fragment}"
                raise DocumentError(file, pointer, reason) from error
            return self._bundle(content, target, fragment)
        if fragment:
            raise DocumentError(file, pointer, f"{reference} refers to a part of a component")
        self._add_component(section, target, file, pointer)
        return {"$ref": f"#/components/{section}/{target.stem}"}

    def _target(self, directory: Path, path: str) -> Path | None:
        """Return the file that a relative path refers to; None if it does not exist."""
        if (directory, path) not in self._targets:
            target = (directory / path).resolve()
            self._targets[directory, path] = target if target.is_file() else None
        return self._targets[directory, path]

    def _add_component(self, section: str, target: Path, file: Path, pointer: str) -> None:
        name = target.stem
        known_file = self._component_files.setdefault((section, name), target)
        if known_file != target:
            raise DocumentError(file, pointer, f"{target} has the same name as {known_file}")
        if name not in self._components[section]:
            # Add it before following its references: a component may refer to itself.
            self._components[section][name] = {}
            self._components[section][name] = self._bundle(self._content(target), target, "")

    def _section_of(self, file: Path) -> str | None:
        components = self._directory / "components"
        section = file.relative_to(components).parts[0] if components in file.parents else ""
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
        used = set(self._component_files.values())
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
    """Yield the pointer to each reference in a node, and what it refers to."""
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield pointer, node["$ref"]
        for key, value in node.items():
            yield from _references(value, f"{pointer}/{escape(key)}")
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _references(item, f"{pointer}/{index}")


class _Loader(SafeLoader):
    """Loads a timestamp as a string: JSON has no timestamps."""

    yaml_implicit_resolvers: Final = {
        first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in SafeLoader.yaml_implicit_resolvers.items()
    }
