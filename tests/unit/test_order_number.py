"""Order numbers can be spelled, misheard and still found."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import order_number

FORM = re.compile(r"ORD-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}")
BITS = st.integers(0, 2**40 - 1)


@given(BITS)
def test_every_number_has_the_form_of_the_contract(bits):
    assert FORM.fullmatch(order_number.encode(bits))


@given(BITS, BITS)
def test_different_bits_make_different_numbers(one, other):
    assert (one == other) == (order_number.encode(one) == order_number.encode(other))


@given(BITS)
def test_a_number_is_found_however_it_is_typed(bits):
    number = order_number.encode(bits)

    assert number == order_number.normalised(number)
    assert number == order_number.normalised(number.lower())
    assert number == order_number.normalised(number.removeprefix("ORD-").replace("-", ""))
    assert number == order_number.normalised(f" 0rd {number.removeprefix('ORD-')} ")


def test_look_alikes_are_read_as_the_digits_they_look_like():
    assert order_number.normalised("ord-i1lO-0oOK") == "ORD-1110-000K"


@pytest.mark.parametrize("text", ["", "ORD", "ORD-7K3M", "ORD-7K3M-9Q2XX", "ORD-7K3M-9Q2U", "'"])
def test_what_cannot_be_a_number_is_none(text):
    assert order_number.normalised(text) is None


@given(st.text(max_size=20))
def test_any_text_is_a_number_or_none(text):
    number = order_number.normalised(text)

    assert number is None or FORM.fullmatch(number)


def test_new_numbers_are_not_in_a_row():
    assert len({order_number.new() for _ in range(100)}) == 100
