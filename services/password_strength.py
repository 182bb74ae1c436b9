"""Rates whether a password is too easy to guess, with zxcvbn.

zxcvbn needs more CPU time for longer passwords, and for passwords with more readings: the ways to
read symbols and digits as letters (l33t substitutions, as in "p4$$w0rd"). An attacker can choose 72
characters that take seconds. Both are bounded here, which limits a rating to about 25 ms of CPU.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from math import prod

# Rate only the beginning and the end: a password is at least as strong as any part of it, and 24
# characters of a strong passphrase are already strong.
_MAX_RATED_CHARACTERS = 24
# zxcvbn rates a password in each reading: with 24 characters, 1.3 ms each.
_MAX_READINGS = 16
# The symbols that zxcvbn reads as letters. Without them there are at most 16 readings, those of
# the digits: 1 as i or l, 7 as l or t, 4 and 8 as one letter, and so on.
_SYMBOLS_AS_LETTERS = str.maketrans("@({[<!|$+%", "accccilstx")

# zxcvbn's score, from 0 to 4. Below 2, fewer than a million guesses find the password: common
# passwords, keyboard sequences, repetitions, and variations of the user's own name.
_MIN_SCORE = 2

# zxcvbn stores the user's own words in a global dictionary, so it is not thread-safe. The lock also
# limits ratings to one at a time: they hold the global interpreter lock (GIL).
_rating_lock = threading.Lock()


def is_easily_guessed(password: str, own_words: Sequence[str]) -> bool:
    """Return whether both the beginning and the end of a password are easily guessed.

    `own_words` are the user's email, name, and parts of them.
    """
    parts = {
        password[:_MAX_RATED_CHARACTERS]: None,
        password[-_MAX_RATED_CHARACTERS:]: None,
    }
    return all(_score(part, own_words) < _MIN_SCORE for part in parts)


def _score(part: str, own_words: Sequence[str]) -> int:
    # Imported on first use: it takes 14 MiB, which only processes that check passwords need.
    from zxcvbn import zxcvbn  # noqa: PLC0415

    if _count_readings(part) > _MAX_READINGS:
        part = part.translate(_SYMBOLS_AS_LETTERS)
    with _rating_lock:
        score: int = zxcvbn(part, user_inputs=list(own_words))["score"]
    return score


def _count_readings(text: str) -> int:
    """Return an upper bound for the number of readings that zxcvbn tries."""
    from zxcvbn.matching import L33T_TABLE  # noqa: PLC0415

    characters = set(text)
    substitutes = [characters.intersection(symbols) for symbols in L33T_TABLE.values()]
    ambiguous = sum(sum(char in found for found in substitutes) > 1 for char in characters)
    return prod(max(1, len(found)) for found in substitutes) << ambiguous
