"""Amounts are exact integers, up to the largest integer that JavaScript represents exactly."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import money
from domain.errors import AmountOverflow

AMOUNTS = st.integers(0, money.MAX_AMOUNT)


@pytest.mark.parametrize(
    ("currency", "decimals"), [("EUR", 2), ("USD", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4)]
)
def test_currencies_have_the_decimals_of_iso_4217(currency, decimals):
    assert decimals == money.exponent(currency)


@pytest.mark.parametrize("currency", ["EURO", "eur", "XXX", "XAU", ""])
def test_an_unknown_currency_is_an_error(currency):
    with pytest.raises(ValueError, match="ISO 4217"):
        money.exponent(currency)


def test_no_currency_is_listed_twice():
    codes = " ".join(money._CODES_BY_EXPONENT.values()).split()

    assert sorted(set(codes)) == sorted(codes)
    assert all(len(code) == 3 for code in codes)


@given(st.integers(0, 10**9), st.integers(1, 10**4))
def test_a_subtotal_is_the_price_times_the_quantity(price, quantity):
    assert price * quantity == money.subtotal(price, quantity)


@given(st.lists(AMOUNTS, max_size=5))
def test_a_total_is_exact_or_an_overflow_error(amounts):
    if sum(amounts) > money.MAX_AMOUNT:
        with pytest.raises(AmountOverflow):
            money.total(amounts)
    else:
        assert sum(amounts) == money.total(amounts)


def test_an_amount_above_the_maximum_is_an_overflow_error():
    assert money.MAX_AMOUNT == money.subtotal(money.MAX_AMOUNT, 1)
    with pytest.raises(AmountOverflow):
        money.subtotal(money.MAX_AMOUNT, 2)


@given(st.integers(-money.MAX_AMOUNT, money.MAX_AMOUNT), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_an_amount_in_major_units_is_exact(amount, currency):
    text = money.in_major_units(amount, currency)

    assert Decimal(amount) == Decimal(text).scaleb(money.exponent(currency))


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(1990, "EUR", "19.90"), (5, "EUR", "0.05"), (500, "JPY", "500")],
)
def test_an_amount_in_major_units_has_the_decimals_of_its_currency(amount, currency, text):
    assert text == money.in_major_units(amount, currency)
