"""The table of problem types is complete."""

from __future__ import annotations

from domain.errors import DomainError
from orderly.http.problems import PROBLEM_TYPES


def test_every_domain_error_has_a_problem_type() -> None:
    codes = {error.code for error in DomainError.__subclasses__()}

    assert codes
    assert codes <= PROBLEM_TYPES.keys()
