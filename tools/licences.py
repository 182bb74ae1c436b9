"""Lists the licences in an SBOM, and fails if pyproject.toml does not allow one of them.

Run it as `python -m tools.licences SBOM`. `tox -e sbom` writes the SBOM and runs this.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def report(sbom: Mapping[str, Any], rules: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return a line for each component, and a line for each licence that is not allowed.

    Args:
        sbom: A CycloneDX document.
        rules: `allowed`, a list of licences, and `exceptions`, additional licences by component.
    """
    lines, faults = [], []
    for component in sbom["components"]:
        name = component["name"]
        licences = _licences(component)
        lines.append(f"{name} {component['version']}: {', '.join(licences)}")
        exceptions = rules["exceptions"].get(name, [])
        refused = [text for text in licences if text not in (*rules["allowed"], *exceptions)]
        faults += [f"{name}: not an allowed licence: {text}" for text in refused]
    return lines, faults


def _licences(component: Mapping[str, Any]) -> list[str]:
    """Return all licences that a component declares: SPDX ids, expressions, or other names."""
    texts = []
    for entry in component.get("licenses", ()):
        licence = entry.get("license", {})
        texts.append(entry.get("expression") or licence.get("id") or licence["name"])
    return texts or ["none declared"]


def main() -> None:
    """Print the licences in an SBOM; its path is the argument of the command."""
    (path,) = sys.argv[1:]
    rules = tomllib.loads(_PYPROJECT.read_text())["tool"]["orderly"]["licences"]
    lines, faults = report(json.loads(Path(path).read_text()), rules)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
