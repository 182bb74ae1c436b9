"""Order numbers: short enough to read aloud, and random, to hide how many orders there are."""

from __future__ import annotations

import secrets

# Crockford's Base32 alphabet, which has no I, L, O and U.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

_PREFIX = "ORD"
_SYMBOLS = 8
_BITS_PER_SYMBOL = 5
_SHIFTS = range((_SYMBOLS - 1) * _BITS_PER_SYMBOL, -1, -_BITS_PER_SYMBOL)
# Replaces letters that look like digits, and removes hyphens and spaces.
_TRANSLATION = str.maketrans("ILO", "110", "- ")


def new() -> str:
    """Return a random number of 40 bits, such as `ORD-7K3M-9Q2X`.

    Storing a number that exists already violates a unique constraint of the database.
    """
    return encode(secrets.randbits(_SYMBOLS * _BITS_PER_SYMBOL))


def encode(bits: int) -> str:
    """Return an integer of 40 bits as an order number."""
    symbols = "".join([ALPHABET[bits >> shift & 31] for shift in _SHIFTS])
    return f"{_PREFIX}-{symbols[:4]}-{symbols[4:]}"


def normalise(text: str) -> str | None:
    """Normalise an order number that a person typed; return None if it is not an order number.

    Case, hyphens and spaces are ignored. The letters I, L and O are read as 1, 1 and 0. The result
    has the form in which order numbers are stored.
    """
    symbols = text.upper().translate(_TRANSLATION)
    if len(symbols) > _SYMBOLS:
        symbols = symbols.removeprefix(_PREFIX.translate(_TRANSLATION))
    if len(symbols) != _SYMBOLS or not set(symbols) <= set(ALPHABET):
        return None
    return f"{_PREFIX}-{symbols[:4]}-{symbols[4:]}"
