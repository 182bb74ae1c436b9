"""Compare the contract of a checkout with the last release, and check its version and changelog."""

from __future__ import annotations

import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from orderly.contract.document import load
from tools.contract_diff.change import Change
from tools.contract_diff.changes import compare, version_error

CHANGELOG = "CHANGELOG.md"


class Report(NamedTuple):
    """The changes since a commit, and the errors in the version and the changelog."""

    since: str
    changes: list[Change]
    errors: list[str]


def check(checkout: Path, since: str | None = None) -> Report:
    """Compare the contract of a checkout with the contract of a commit.

    Args:
        checkout: the root of the working tree.
        since: the commit; without it, the last release.

    Raises:
        ValueError: the commit does not exist, or has no contract.
    """
    since = since or _last_release(checkout)
    with tempfile.TemporaryDirectory() as directory:
        release = Path(directory)
        archive = _git(checkout, "archive", "--format=zip", since, "openapi", CHANGELOG)
        with zipfile.ZipFile(BytesIO(archive)) as files:
            files.extractall(release)
        before = load(directory=release / "openapi")
        old_lines = set((release / CHANGELOG).read_text().splitlines())
    after = load(directory=checkout / "openapi")
    changes = compare(before, after)
    new_lines = [
        line
        for line in (checkout / CHANGELOG).read_text().splitlines()
        if line.strip() and line not in old_lines
    ]
    return Report(since, changes, list(_errors(before, after, changes, "\n".join(new_lines))))


def _errors(
    before: dict[str, Any], after: dict[str, Any], changes: list[Change], changelog: str
) -> Iterator[str]:
    message = version_error(before, after, changes)
    if message:
        yield f"openapi/openapi.yaml: {message}"
    if changes and not changelog:
        yield f"{CHANGELOG}: does not mention the changes"
    for name in sorted(_operation_ids(before) ^ _operation_ids(after)):
        if f"`{name}`" not in changelog:
            state = "removed" if name in _operation_ids(before) else "new"
            yield f"{CHANGELOG}: does not mention the {state} operation `{name}`"


def _operation_ids(document: dict[str, Any]) -> set[str]:
    return {
        operation["operationId"]
        for path_item in document["paths"].values()
        for operation in path_item.values()
        if isinstance(operation, dict) and "operationId" in operation
    }


def _last_release(checkout: Path) -> str:
    """Return the last tag; if there is none, the first that exists of origin/main, main, HEAD."""
    for command in (
        ("describe", "--tags", "--abbrev=0"),
        ("rev-parse", "--verify", "--abbrev-ref", "origin/main"),
        ("rev-parse", "--verify", "--abbrev-ref", "main"),
        ("rev-parse", "HEAD"),
    ):
        try:
            return _git(checkout, *command).decode().strip()
        except ValueError:
            continue
    raise ValueError(f"{checkout} is not a git working tree with commits")


def _git(checkout: Path, *arguments: str) -> bytes:
    finished = subprocess.run(
        ["git", "-C", str(checkout), *arguments], capture_output=True, check=False
    )
    if finished.returncode:
        raise ValueError(finished.stderr.decode().strip())
    return finished.stdout
