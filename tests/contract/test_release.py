"""A contract that has changed is held to say so."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.contract_diff.release import check

CONTRACT = """\
openapi: 3.0.3
info: {title: Sample, version: 0.1.0}
paths:
  /things:
    get: {operationId: list_things, responses: {'200': {$ref: ./components/responses/Page.yaml}}}
    post: {operationId: create_thing, responses: {'201': {description: Made.}}}
components:
  schemas:
    Currency: {type: string, enum: [EUR]}
"""
DELETE = "    delete: {operationId: delete_things, responses: {'204': {description: Gone.}}}\n"
POST = "    post: {operationId: create_thing, responses: {'201': {description: Made.}}}\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose last tag is a release."""
    (tmp_path / "openapi/components/responses").mkdir(parents=True)
    (tmp_path / "openapi/components/responses/Page.yaml").write_text("description: A page.\n")
    (tmp_path / "openapi/openapi.yaml").write_text(CONTRACT)
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n")
    identity = (
        "-c",
        "user.name=Ada",
        "-c",
        "user.email=ada@example.com",
        "-c",
        "tag.gpgsign=false",
    )
    for command in (
        ("init", "-q"),
        ("add", "."),
        (*identity, "commit", "-qm", "Release"),
        (*identity, "tag", "v0.1.0"),
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return tmp_path


def write(checkout: Path, contract: str, changelog: str = "") -> None:
    (checkout / "openapi/openapi.yaml").write_text(contract)
    with (checkout / "CHANGELOG.md").open("a") as told:
        told.write(changelog)


def test_nothing_is_asked_where_nothing_has_changed(checkout: Path) -> None:
    assert ("v0.1.0", [], []) == check(checkout)


def test_a_new_operation_is_told_in_the_changelog(checkout: Path) -> None:
    write(checkout, CONTRACT.replace("    post:", f"{DELETE}    post:"))
    assert [
        "CHANGELOG.md: does not mention the changes",
        "CHANGELOG.md: does not mention the new operation `delete_things`",
    ] == check(checkout).errors

    write(checkout, CONTRACT.replace("    post:", f"{DELETE}    post:"), "- `delete_things`.\n")
    assert [] == check(checkout).errors


def test_what_breaks_needs_a_version_that_says_so(checkout: Path) -> None:
    broken = CONTRACT.replace(POST, "")
    write(checkout, broken, "- `create_thing` is gone.\n")
    report = check(checkout)
    assert ["BREAKING  POST /things: the operation is gone"] == [*map(str, report.changes)]
    assert [
        "openapi/openapi.yaml: something breaks: the version must be 0.2.0 at least"
    ] == report.errors

    write(checkout, broken.replace("0.1.0", "0.2.0"))
    assert [] == check(checkout).errors


def test_any_commit_can_be_compared_with(checkout: Path) -> None:
    assert "HEAD" == check(checkout, "HEAD").since

    with pytest.raises(ValueError, match="not a valid object name"):
        check(checkout, "v9")
