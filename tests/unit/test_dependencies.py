"""The lock files match pyproject.toml, and name no package index."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = "requirements.lock"


def requirements(repository: Path) -> list[Requirement]:
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    groups = [
        *project["dependency-groups"].values(),
        *project["project"]["optional-dependencies"].values(),
    ]
    texts = [
        *project["project"]["dependencies"],
        *(text for group in groups for text in group if isinstance(text, str)),
    ]
    return [Requirement(text) for text in texts]


def locked_versions(repository: Path) -> dict[str, list[str]]:
    """Return the locked versions of each package; there can be one for each version of Python."""
    versions: dict[str, list[str]] = {}
    for name, version in re.findall(
        r"^([\w.-]+)==(\S+)", (repository / LOCK).read_text(), re.MULTILINE
    ):
        versions.setdefault(canonicalize_name(name), []).append(version)
    return versions


def test_the_lock_has_an_allowed_version_of_every_dependency(repository: Path) -> None:
    locked = locked_versions(repository)

    for requirement in requirements(repository):
        versions = locked.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement.name} is not in {LOCK}: run tox -e lock"
        for version in versions:
            assert requirement.specifier.contains(version), f"{requirement}: {version} is locked"


def test_every_locked_version_has_a_hash(repository: Path) -> None:
    entries = re.split(r"\n(?=\S)", (repository / LOCK).read_text().strip())

    assert len(entries) > 50
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize(
    "lock",
    [
        "docs/examples/typescript-client/package-lock.json",
        "tests/browser/chromium/package-lock.json",
        "tests/contract/tools/package-lock.json",
        "tests/generators/package-lock.json",
    ],
)
def test_npm_lock_files_name_no_registry_and_have_hashes(repository: Path, lock: str) -> None:
    packages = json.loads((repository / lock).read_text())["packages"]

    installed = {name: package for name, package in packages.items() if name}
    assert installed
    assert [name for name, package in installed.items() if "resolved" in package] == []
    assert [name for name, package in installed.items() if "integrity" not in package] == []


def test_the_python_lock_names_no_package_index(repository: Path) -> None:
    assert "://" not in (repository / LOCK).read_text()
