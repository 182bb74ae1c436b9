"""Order numbers: their form, and the misspellings that are still recognized."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import order_number

NUMBER_PATTERN = re.compile(r"ORD-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}")
BITS = st.integers(0, 2**40 - 1)


@given(BITS)
def test_every_number_has_the_form_of_the_contract(bits):
    assert NUMBER_PATTERN.fullmatch(order_number.encode(bits))


@given(BITS, BITS)
def test_different_bits_give_different_numbers(first, second):
    assert (first == second) == (order_number.encode(first) == order_number.encode(second))


@given(BITS)
def test_a_number_is_recognized_in_any_case_and_with_or_without_prefix(bits):
    number = order_number.encode(bits)

    assert number == order_number.normalise(number)
    assert number == order_number.normalise(number.lower())
    assert number == order_number.normalise(number.removeprefix("ORD-").replace("-", ""))
    assert number == order_number.normalise(f" 0rd {number.removeprefix('ORD-')} ")


def test_letters_that_look_like_digits_are_read_as_digits():
    assert order_number.normalise("ord-i1lO-0oOK") == "ORD-1110-000K"


@pytest.mark.parametrize("text", ["", "ORD", "ORD-7K3M", "ORD-7K3M-9Q2XX", "ORD-7K3M-9Q2U", "'"])
def test_text_that_cannot_be_a_number_gives_none(text):
    assert order_number.normalise(text) is None


@given(st.text(max_size=20))
def test_any_text_gives_a_valid_number_or_none(text):
    number = order_number.normalise(text)

    assert number is None or NUMBER_PATTERN.fullmatch(number)


def test_new_numbers_are_random():
    assert len({order_number.new() for _ in range(100)}) == 100
