"""Money as an integer number of minor units: exact and bounded, never a float."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from domain.errors import AmountOverflow

# The largest integer that every JSON parser represents exactly (RFC 8259, section 6).
MAX_AMOUNT = 2**53 - 1

# ISO 4217 currencies by the number of decimals of their minor unit, without the codes for funds,
# metals and tests.
_CODES_BY_EXPONENT = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD"
        " CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD"
        " GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL"
        " MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN"
        " PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP"
        " SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_EXPONENTS = {
    code: exponent for exponent, codes in _CODES_BY_EXPONENT.items() for code in codes.split()
}


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units, and the ISO 4217 code of its currency."""

    amount: int
    currency: str


def exponent(currency: str) -> int:
    """Return the number of decimals of a currency's minor unit: 2 for EUR, 0 for JPY, 3 for KWD.

    Raises:
        ValueError: this is not a currency code of ISO 4217.
    """
    try:
        return _EXPONENTS[currency]
    except KeyError:
        raise ValueError(f"{currency!r} is not the ISO 4217 code of a currency") from None


def subtotal(unit_price: int, quantity: int) -> int:
    """Return the price of `quantity` units.

    Raises:
        AmountOverflow: the result is more than `MAX_AMOUNT`.
    """
    return _bounded(unit_price * quantity)


def total(amounts: Iterable[int]) -> int:
    """Return the sum of amounts.

    Raises:
        AmountOverflow: the result is more than `MAX_AMOUNT`.
    """
    return _bounded(sum(amounts))


def in_major_units(amount: int, currency: str) -> str:
    """Return an amount in major units: `19.90` for 1990 in EUR."""
    decimals = exponent(currency)
    sign, digits = ("-" if amount < 0 else ""), str(abs(amount)).rjust(decimals + 1, "0")
    if decimals:
        digits = f"{digits[:-decimals]}.{digits[-decimals:]}"
    return f"{sign}{digits}"


def in_minor_units(text: str, currency: str) -> int:
    """Return the number of minor units of an amount in major units: 1990 for `19.9` in EUR.

    Raises:
        ValueError: the text is not an amount, or has more decimals than the currency.
    """
    decimals = exponent(currency)
    match = _AMOUNT.fullmatch(text)
    if match is None or len(match[2] or "") > decimals:
        raise ValueError(f"must be an amount with at most {decimals} decimals")
    return int(match[1] + (match[2] or "").ljust(decimals, "0"))


_AMOUNT = re.compile(r"([0-9]{1,16})(?:\.([0-9]{1,4}))?", re.ASCII)


def _bounded(amount: int) -> int:
    if abs(amount) > MAX_AMOUNT:
        raise AmountOverflow
    return amount
