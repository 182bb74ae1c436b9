"""Order numbers: short enough to read out over a telephone, and no hint at how many there are."""

from __future__ import annotations

import secrets

# Crockford's base 32: neither I, L, O nor U.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

_PREFIX = "ORD"
_SYMBOLS = 8
_BITS_PER_SYMBOL = 5
_MISREAD = str.maketrans("ILO", "110", "- ")


def new() -> str:
    """Return a random number such as `ORD-7K3M-9Q2X`.

    One of 2**40: that it is new is for the database's constraint to say.
    """
    return spelled(secrets.randbits(_SYMBOLS * _BITS_PER_SYMBOL))


def spelled(bits: int) -> str:
    """Return the number that 40 bits stand for."""
    symbols = "".join(
        ALPHABET[bits >> shift & 31]
        for shift in range((_SYMBOLS - 1) * _BITS_PER_SYMBOL, -1, -_BITS_PER_SYMBOL)
    )
    return f"{_PREFIX}-{symbols[:4]}-{symbols[4:]}"


def normalised(text: str) -> str | None:
    """Return the number that somebody means who typed `text`; None where it cannot be one.

    Case, hyphens, blanks and the letters that Crockford's alphabet leaves out as look-alikes
    make no difference.
    """
    symbols = text.upper().translate(_MISREAD)
    if len(symbols) > _SYMBOLS:
        symbols = symbols.removeprefix(_PREFIX.translate(_MISREAD))
    if len(symbols) != _SYMBOLS or not set(symbols) <= set(ALPHABET):
        return None
    return f"{_PREFIX}-{symbols[:4]}-{symbols[4:]}"
