"""The licences of the dependencies, as `tox -e sbom` checks them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tools import licences

RULES = {"allowed": ["MIT", "MIT OR Apache-2.0"], "exceptions": {"driver": ["LGPL-3.0-or-later"]}}


def component(*declared: dict[str, Any], name: str = "library") -> dict[str, Any]:
    return {"name": name, "version": "1.0", "licenses": list(declared)}


def test_every_component_is_listed_with_its_licences() -> None:
    mit = {"license": {"id": "MIT"}}
    either = {"expression": "MIT OR Apache-2.0"}

    lines, faults = licences.report({"components": [component(mit), component(either)]}, RULES)

    assert lines == ["library 1.0: MIT", "library 1.0: MIT OR Apache-2.0"]
    assert faults == []


@pytest.mark.parametrize(
    ("declared", "refused"),
    [
        ([{"license": {"id": "AGPL-3.0-only"}}], "AGPL-3.0-only"),
        ([{"license": {"name": "Proprietary"}}], "Proprietary"),
        ([{"license": {"id": "MIT"}}, {"license": {"id": "SSPL-1.0"}}], "SSPL-1.0"),
        ([{"expression": "MIT AND GPL-3.0-only"}], "MIT AND GPL-3.0-only"),
        ([], "none declared"),
    ],
)
def test_a_licence_that_is_not_allowed_is_a_fault(
    declared: list[dict[str, Any]], refused: str
) -> None:
    _, faults = licences.report({"components": [component(*declared)]}, RULES)

    assert faults == [f"library: not an allowed licence: {refused}"]


def test_an_exception_is_for_one_component() -> None:
    lesser = {"license": {"id": "LGPL-3.0-or-later"}}
    sbom = {"components": [component(lesser, name="driver"), component(lesser, name="other")]}

    _, faults = licences.report(sbom, RULES)

    assert faults == ["other: not an allowed licence: LGPL-3.0-or-later"]


def test_every_exception_is_a_locked_dependency(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    lock = (repository / "requirements.lock").read_text()

    for name in project["tool"]["orderly"]["licences"]["exceptions"]:
        assert f"\n{name}==" in lock
