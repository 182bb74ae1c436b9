"""A changed contract needs a changelog entry and, if the change is breaking, a new version."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from orderly.contract.document import load
from tools.contract_diff.changes import compare
from tools.contract_diff.release import check

CONTRACT = """\
openapi: 3.0.3
info: {title: Sample, version: 0.1.0}
paths:
  /things:
    get: {operationId: list_things, responses: {'200': {$ref: ./components/responses/Page.yaml}}}
    post: {operationId: create_thing, responses: {'201': {description: Created.}}}
components:
  schemas:
    Currency: {type: string, enum: [EUR]}
"""
DELETE = "    delete: {operationId: delete_things, responses: {'204': {description: Deleted.}}}\n"
POST = "    post: {operationId: create_thing, responses: {'201': {description: Created.}}}\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Create a git repository whose only commit is the release v0.1.0."""
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
    """Replace the contract, and append to the changelog."""
    (checkout / "openapi/openapi.yaml").write_text(contract)
    with (checkout / "CHANGELOG.md").open("a") as file:
        file.write(changelog)


def test_an_unchanged_contract_needs_no_entry(checkout: Path) -> None:
    assert ("v0.1.0", [], []) == check(checkout)


def test_a_new_operation_needs_a_changelog_entry_that_names_it(checkout: Path) -> None:
    write(checkout, CONTRACT.replace("    post:", f"{DELETE}    post:"))
    assert [
        "CHANGELOG.md: does not mention the changes",
        "CHANGELOG.md: does not mention the new operation `delete_things`",
    ] == check(checkout).errors

    write(checkout, CONTRACT.replace("    post:", f"{DELETE}    post:"), "- `delete_things`.\n")
    assert [] == check(checkout).errors


def test_a_breaking_change_needs_a_new_version(checkout: Path) -> None:
    without_post = CONTRACT.replace(POST, "")
    write(checkout, without_post, "- Removed `create_thing`.\n")
    report = check(checkout)
    assert ["BREAKING    POST /things: operation removed"] == [*map(str, report.changes)]
    assert [
        "openapi/openapi.yaml: there are breaking changes: the version must be at least 0.2.0"
    ] == report.errors

    write(checkout, without_post.replace("0.1.0", "0.2.0"))
    assert [] == check(checkout).errors


def test_the_contract_can_be_compared_with_any_commit(checkout: Path) -> None:
    assert "HEAD" == check(checkout, "HEAD").since

    with pytest.raises(ValueError, match="not a valid object name"):
        check(checkout, "v9")


RELEASED = load()
NEW_MEMBER = """properties:
  gift_wrap:
    type: boolean
    description: Whether the order is wrapped.
    example: true
"""


# A file of the contract, a text in it and its replacement, and the changes.
@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        pytest.param(
            "Order",
            "properties:\n",
            NEW_MEMBER,
            ["compatible  Order in responses/gift_wrap: property added"],
            id="a new member of an answer",
        ),
        pytest.param(
            "OrderEventType",
            "  - PLACED\n",
            "  - PLACED\n  - GIFT_WRAPPED\n",
            ["compatible  OrderEvent in responses/type: known value 'GIFT_WRAPPED' added"],
            id="a new value of an extensible enum",
        ),
        pytest.param(
            "RefundStatus",
            "[PENDING,",
            "[PENDING, ON_HOLD,",
            ["BREAKING    RefundStatus in responses: enum value 'ON_HOLD' added"],
            id="a new value of a closed enum",
        ),
        pytest.param(
            "OrderRequest",
            "required: [items]\nproperties:\n",
            "required: [items, gift_wrap]\n" + NEW_MEMBER,
            ["BREAKING    OrderRequest in requests/gift_wrap: required property added"],
            id="a new required member of a request",
        ),
        pytest.param(
            "OrderRequest",
            "properties:\n",
            NEW_MEMBER,
            ["compatible  OrderRequest in requests/gift_wrap: property added"],
            id="a new optional member of a request",
        ),
        pytest.param(
            "Order",
            "  expires_at:\n",
            "  expires_on:\n",
            [
                "BREAKING    Order in responses/expires_at: property removed",
                "compatible  Order in responses/expires_on: property added",
            ],
            id="a renamed member of an answer",
        ),
    ],
)
def test_answers_may_grow_and_requests_may_not_require_more(
    repository: Path, tmp_path: Path, file: str, old: str, new: str, changes: list[str]
) -> None:
    shutil.copytree(repository / "openapi", tmp_path / "openapi")
    path = tmp_path / f"openapi/components/schemas/{file}.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))

    found = compare(RELEASED, load(directory=tmp_path / "openapi"))

    assert changes == [*map(str, found)]
