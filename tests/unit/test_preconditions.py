"""Comparison of entity tags (RFC 9110, section 8.8.3.2)."""

from __future__ import annotations

import pytest

from handlers.preconditions import expected_versions, is_unchanged


@pytest.mark.parametrize("field", ['"3.18"', 'W/"3.18"', '"a,b", "3.18"', '"x" ,\tW/"3.18"', "*"])
def test_if_none_match_is_compared_weakly(field: str) -> None:
    assert is_unchanged(field, '"3.18"')


@pytest.mark.parametrize("field", [None, '"3.1"', '"3.18.1"', "3.18", '""', '"3.18', "W/3.18"])
def test_if_none_match_with_other_tags_does_not_match(field: str | None) -> None:
    assert not is_unchanged(field, '"3.18"')


@pytest.mark.parametrize("field", [None, "*"])
def test_without_if_match_any_version_is_accepted(field: str | None) -> None:
    assert expected_versions(field) is None


def test_if_match_is_compared_strongly() -> None:
    field = '"3.18", W/"4.1", "5", "", "nonsense", 6, W/7, "8'

    assert {3, 5} == expected_versions(field)
