"""The tests and decisions that docs/security.md names exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
DOCUMENT = TESTS.parent / "docs" / "security.md"


def test_every_named_test_exists() -> None:
    named = re.findall(r"`([a-z_/]+\.py)::(test_\w+)`", DOCUMENT.read_text())

    assert len(named) > 40
    for file, test in named:
        assert f"\ndef {test}(" in (TESTS / file).read_text(), f"{file}::{test}"


def test_every_linked_decision_exists() -> None:
    linked = re.findall(r"\]\(([^)#]+\.md)\)", DOCUMENT.read_text())

    assert linked
    assert all((DOCUMENT.parent / link).is_file() for link in linked)
