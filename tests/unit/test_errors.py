"""Errors say what is wrong in a sentence and carry the facts of the case."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from domain import errors
from domain.errors import DomainError, ShortLine, UnavailableLine

ONE = UUID(int=1)
CASES = [
    errors.NotFound("product"),
    errors.PasswordRejected("it is a common one"),
    errors.InsufficientStock((ShortLine(ONE, 3, 1),)),
    errors.ProductsUnavailable((UnavailableLine(ONE, 1),)),
    errors.TransitionNotAllowed("PENDING", "DELIVERED", ("PAID", "CANCELLED")),
]
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]
WITHOUT_FACTS = [
    kind()
    for kind in KINDS
    if issubclass(kind, DomainError) and kind is not DomainError and "__init__" not in vars(kind)
]


@pytest.mark.parametrize("error", [*CASES, *WITHOUT_FACTS], ids=lambda error: error.code)
def test_an_error_is_a_sentence_and_facts_that_can_be_written_as_json(error):
    assert str(error).endswith(".")
    assert "{" not in str(error)
    json.dumps(error.facts())


def test_the_message_is_the_docstring_filled_with_the_facts():
    error = errors.TransitionNotAllowed("PENDING", "DELIVERED", ("PAID", "CANCELLED"))

    assert str(error) == "An order that is PENDING cannot become DELIVERED."


def test_facts_name_each_short_line():
    error = errors.InsufficientStock((ShortLine(ONE, 3, 1),))

    assert error.facts() == {"lines": [{"product_id": str(ONE), "requested": 3, "available": 1}]}


def test_no_two_errors_share_a_code():
    errors_of_all_kinds = [*CASES, *WITHOUT_FACTS]
    codes = [one.code for one in errors_of_all_kinds if "code" in vars(type(one))]

    assert sorted(set(codes)) == sorted(codes)
