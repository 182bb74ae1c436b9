"""Holds a changed contract to its promises: version and changelog say what has changed.

`python -m tests.contract.release` compares the checkout with the last release, which is the last
tag or, where there is none, `main`; `python -m tests.contract.release v0.1.0` with another commit.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import click

from orderly.contract.changes import broken_promise, compare
from orderly.contract.document import load
from orderly.contract.schema_changes import Change

CHANGELOG = "CHANGELOG.md"


class Report(NamedTuple):
    """What has changed since a commit, and what does not say so yet."""

    since: str
    changes: list[Change]
    faults: list[str]


def check(checkout: Path, since: str | None = None) -> Report:
    """Compare the contract of a checkout with that of a commit.

    Raises:
        ValueError: there is no such commit, or it has no contract.
    """
    since = since or _last_release(checkout)
    with tempfile.TemporaryDirectory() as directory:
        released = Path(directory)
        archive = _git(checkout, "archive", "--format=tar", since, "openapi", CHANGELOG)
        with tarfile.open(fileobj=BytesIO(archive)) as files:
            files.extractall(released, filter="data")
        before = load(directory=released / "openapi")
        told_before = set((released / CHANGELOG).read_text().splitlines())
    after = load(directory=checkout / "openapi")
    changes = compare(before, after)
    told = [
        line
        for line in (checkout / CHANGELOG).read_text().splitlines()
        if line.strip() and line not in told_before
    ]
    return Report(since, changes, list(_faults(before, after, changes, "\n".join(told))))


def _faults(
    before: dict[str, Any], after: dict[str, Any], changes: list[Change], told: str
) -> Iterator[str]:
    complaint = broken_promise(before, after, changes)
    if complaint:
        yield f"openapi/openapi.yaml: {complaint}"
    if changes and not told:
        yield f"{CHANGELOG}: nothing is said of the changes"
    for name in sorted(_names(before) ^ _names(after)):
        if f"`{name}`" not in told:
            gone = name in _names(before)
            yield f"{CHANGELOG}: nothing is said of `{name}`, which is {'gone' if gone else 'new'}"


def _names(document: dict[str, Any]) -> set[str]:
    return {
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict) and "operationId" in operation
    }


def _last_release(checkout: Path) -> str:
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
    raise ValueError(f"{checkout} is no checkout with commits")


def _git(checkout: Path, *arguments: str) -> bytes:
    done = subprocess.run(
        ["git", "-C", str(checkout), *arguments], capture_output=True, check=False
    )
    if done.returncode:
        raise ValueError(done.stderr.decode().strip())
    return done.stdout


def main() -> int:
    """Print what has changed; return 1 where version or changelog do not say so."""
    since, changes, faults = check(Path.cwd(), *sys.argv[1:2])
    click.echo(f"The contract since {since}: {len(changes)} changes")
    for change in changes:
        click.echo(change)
    for fault in faults:
        click.echo(f"MISSING   {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
