"""Which passwords are too easy to guess.

zxcvbn rates a password. The CPU time that it needs grows with the length, and with the number of
ways to read symbols and digits as letters ("p4$$w0rd"): seconds for 72 characters that an attacker
chooses. Both are bounded here, which limits a rating to about 25 ms of CPU.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from math import prod

# A password is at least as strong as a part of it. 24 characters suffice to rate any passphrase.
_MAX_RATED_CHARACTERS = 24
# zxcvbn rates a password in each reading: with 24 characters, 1.3 ms each.
_MAX_READINGS = 16
# The symbols that zxcvbn reads as letters. Without them there are at most 16 readings, those of
# the digits: 1 as i or l, 7 as l or t, 4 and 8 as one letter, and so on.
_SYMBOLS_AS_LETTERS = str.maketrans("@({[<!|$+%", "accccilstx")

# Of 0 to 4. A score below 2 means that fewer than a million guesses find the password: common
# passwords, keyboard runs, repetitions, and variations of the user's own name.
_MIN_SCORE = 2

# zxcvbn stores the user's own words in a global dictionary. The lock also bounds the CPU that
# ratings use: they hold the global interpreter lock.
_rating = threading.Lock()


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
    with _rating:
        score: int = zxcvbn(part, user_inputs=list(own_words))["score"]
    return score


def _count_readings(text: str) -> int:
    """Return an upper bound for the number of readings that zxcvbn tries."""
    from zxcvbn.matching import L33T_TABLE  # noqa: PLC0415

    characters = set(text)
    of_letters = [characters.intersection(one) for one in L33T_TABLE.values()]
    ambiguous = sum(sum(one in letter for letter in of_letters) > 1 for one in characters)
    return prod(max(1, len(one)) for one in of_letters) << ambiguous
