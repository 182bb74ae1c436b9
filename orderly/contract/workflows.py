"""Reads the workflows in openapi/workflows/: sequences of operations in Arazzo 1.0."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

from orderly.contract.bundle import SafeLoader
from orderly.contract.document import DIRECTORY

WORKFLOWS: Final = DIRECTORY / "workflows"
SUFFIX: Final = ".arazzo.yaml"

_OPERATION: Final = "$sourceDescriptions.shop."
_STATUS = re.compile(r"\$statusCode == (\d{3})", re.ASCII)


def read_workflows() -> dict[str, bytes]:
    """Return the content of each file by its name, in alphabetical sequence."""
    return {path.name: path.read_bytes() for path in sorted(WORKFLOWS.glob(f"*{SUFFIX}"))}


def parse(content: bytes) -> dict[str, Any]:
    """Return the Arazzo description in a file."""
    description: dict[str, Any] = yaml.load(content, SafeLoader)  # noqa: S506  # it is safe
    return description


def operation_id(step: Mapping[str, Any]) -> str:
    """Return the operationId of the operation that a step calls."""
    return str(step["operationId"]).removeprefix(_OPERATION)


def status(step: Mapping[str, Any]) -> int:
    """Return the status that a step must get."""
    for criterion in step["successCriteria"]:
        if match := _STATUS.fullmatch(criterion["condition"]):
            return int(match[1])
    raise ValueError(f"no success criterion of step {step['stepId']} names a status")
