"""The tests that docs/security.md calls upon are there."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
DOCUMENT = TESTS.parent / "docs" / "security.md"


def test_every_proof_that_is_named_is_a_test() -> None:
    named = re.findall(r"`([a-z_/]+\.py)::(test_\w+)`", DOCUMENT.read_text())

    assert len(named) > 40
    for file, test in named:
        assert f"\ndef {test}(" in (TESTS / file).read_text(), f"{file}::{test}"


def test_every_decision_that_is_named_is_a_file() -> None:
    linked = re.findall(r"\]\(([^)#]+\.md)\)", DOCUMENT.read_text())

    assert linked
    assert all((DOCUMENT.parent / one).is_file() for one in linked)
