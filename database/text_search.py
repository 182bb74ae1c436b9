"""Searching rows by their words: how a row's words are kept, and how some are asked for."""

from __future__ import annotations

import re
import unicodedata

from peewee import SQL, Expression, Field, fn

from database.statement import Parameter

# What stands between words: migrations split the text of a row by the same rule, and one text
# serves both kinds of regular expression. Left to itself PostgreSQL takes what is not ASCII as its
# server's locale does, and where that is C, “mug” in such quotes is no mug.
_PUNCTUATION = (
    r"!-/:-@[-`{-~\u0080-\u00A9\u00AB-\u00B1\u00B4\u00B6-\u00B8\u00BB\u00BF\u00D7\u00F7"
    r"\u055A-\u055F\u0589\u05BE\u05F3\u05F4\u060C\u061B\u061F\u066A-\u066D\u06D4\u0964\u0965"
    r"\u2000-\u206F\u20A0-\u20CF\u2122\u2190-\u2BFF\u2E00-\u2E7F\u3000-\u3004\u3008-\u3020\u30FB"
    r"\uFE00-\uFE0F\uFE30-\uFE6F\uFEFF\uFF01-\uFF0F\uFF1A-\uFF20\uFF3B-\uFF40\uFF5B-\uFF65\uFFFD"
    r"\U0001F000-\U0001FAFF"
)
_NO_WORD = re.compile(rf"[\x00-\x20\x7F{_PUNCTUATION}]+")


class SearchField(Field):
    """The words of a row, as PostgreSQL's text search keeps them."""

    field_type = "TSVECTOR"


def words_of(text: str) -> SearchField:
    """Return the generated column of the words of a row, `text` being an expression in SQL."""
    return SearchField(
        constraints=[
            SQL(
                "GENERATED ALWAYS AS (to_tsvector('simple', regexp_replace("
                f"normalize({text}) COLLATE \"C\", '[{_PUNCTUATION}]+', ' ', 'g'))) STORED"
            )
        ]
    )


def has_words(column: SearchField, parameter: str = "words") -> Expression:
    """Return the condition that a row has the words of a parameter."""
    return Expression(column, "@@", fn.to_tsquery("simple", Parameter(parameter)))


def all_words(text: str) -> str | None:
    """Return a text search for every word of a text, or its beginning; None if it has no word."""
    words = _NO_WORD.split(unicodedata.normalize("NFC", text))
    return " & ".join(f"'{word}':*" for word in words if word) or None
