"""The table of problems is whole."""

from __future__ import annotations

from domain.errors import DomainError
from orderly.http.problems import PROBLEM_TYPES


def test_every_rule_that_can_be_broken_has_its_status() -> None:
    codes = {error.code for error in DomainError.__subclasses__()}

    assert codes
    assert codes <= PROBLEM_TYPES.keys()
