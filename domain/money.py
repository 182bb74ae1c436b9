"""Money as whole minor units: exact, bounded, and never a float."""

from __future__ import annotations

import re
from collections.abc import Iterable

from domain.errors import AmountOverflow

# The largest integer that every JSON reader keeps exactly (RFC 8259, section 6).
MAX_AMOUNT = 2**53 - 1

# ISO 4217: currencies by the number of decimals of their minor unit. Funds, metals and test
# codes, which nobody sells for, are left out.
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


def exponent(currency: str) -> int:
    """Return how many decimals a currency's minor unit has: 2 for EUR, 0 for JPY, 3 for KWD.

    Raises:
        ValueError: ISO 4217 knows no such currency.
    """
    try:
        return _EXPONENTS[currency]
    except KeyError:
        raise ValueError(f"{currency!r} is not the ISO 4217 code of a currency") from None


def subtotal(unit_price: int, quantity: int) -> int:
    """Return what `quantity` units cost.

    Raises:
        AmountOverflow: it is more than `MAX_AMOUNT`.
    """
    return _bounded(unit_price * quantity)


def total(amounts: Iterable[int]) -> int:
    """Return the sum of amounts.

    Raises:
        AmountOverflow: it is more than `MAX_AMOUNT`.
    """
    return _bounded(sum(amounts))


def in_words(amount: int, currency: str) -> str:
    """Return an amount as people read it: 1990 and EUR give `19.90 EUR`."""
    return f"{in_major_units(amount, currency)} {currency}"


def in_major_units(amount: int, currency: str) -> str:
    """Return an amount with its decimals, exactly: 1990 and EUR give `19.90`."""
    decimals = exponent(currency)
    sign, digits = ("-" if amount < 0 else ""), str(abs(amount)).rjust(decimals + 1, "0")
    if decimals:
        digits = f"{digits[:-decimals]}.{digits[-decimals:]}"
    return f"{sign}{digits}"


def in_minor_units(text: str, currency: str) -> int:
    """Return the minor units of an amount that is written with decimals: `19.9` EUR is 1990.

    Raises:
        ValueError: it is no amount, or has more decimals than the currency.
    """
    decimals = exponent(currency)
    found = _AMOUNT.fullmatch(text)
    if found is None or len(found[2] or "") > decimals:
        raise ValueError(f"must be an amount of at most {decimals} decimals")
    return int(found[1] + (found[2] or "").ljust(decimals, "0"))


_AMOUNT = re.compile(r"([0-9]{1,16})(?:\.([0-9]{1,4}))?", re.ASCII)


def _bounded(amount: int) -> int:
    if abs(amount) > MAX_AMOUNT:
        raise AmountOverflow
    return amount
