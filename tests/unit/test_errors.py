"""Domain errors have a sentence that says what is wrong, and attributes."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from domain import errors
from domain.errors import DomainError, UnavailableLine, UnderstockedLine

PRODUCT_ID = UUID(int=1)
CASES = [
    errors.NotFound("product"),
    errors.PasswordRejected("it is a common one"),
    errors.InsufficientStock((UnderstockedLine(PRODUCT_ID, 3, 1),)),
    errors.ProductsUnavailable((UnavailableLine(PRODUCT_ID, 1),)),
    errors.OrdersInProgress(["ORD-7K3M-9Q2X"]),
    errors.TransitionNotAllowed("PENDING", "DELIVERED", ("PAID", "CANCELLED")),
]
CLASSES = [value for value in vars(errors).values() if isinstance(value, type)]
WITHOUT_ATTRIBUTES = [
    class_()
    for class_ in CLASSES
    if issubclass(class_, DomainError)
    and class_ is not DomainError
    and "__init__" not in vars(class_)
]


@pytest.mark.parametrize("error", [*CASES, *WITHOUT_ATTRIBUTES], ids=lambda error: error.code)
def test_an_error_is_a_sentence_and_its_attributes_can_be_serialized_to_json(error):
    assert str(error).endswith(".")
    assert "{" not in str(error)
    json.dumps(error.attributes())


def test_the_message_is_the_docstring_with_the_attributes_filled_in():
    error = errors.TransitionNotAllowed("PENDING", "DELIVERED", ("PAID", "CANCELLED"))

    assert str(error) == "An order that is PENDING cannot become DELIVERED."


def test_the_attributes_list_each_line_with_insufficient_stock():
    error = errors.InsufficientStock((UnderstockedLine(PRODUCT_ID, 3, 1),))

    assert error.attributes() == {
        "lines": [{"product_id": str(PRODUCT_ID), "requested": 3, "available": 1}]
    }


def test_every_error_has_its_own_code():
    all_errors = [*CASES, *WITHOUT_ATTRIBUTES]
    codes = [error.code for error in all_errors if "code" in vars(type(error))]

    assert sorted(set(codes)) == sorted(codes)
