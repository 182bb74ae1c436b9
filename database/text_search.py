"""PostgreSQL full-text search: generated tsvector columns, and tsqueries for what users type."""

from __future__ import annotations

import re
import unicodedata

from peewee import SQL, Expression, Field, fn

from database.statement import Parameter

# The characters that separate words. Migrations 0007, 0013 and 0014 split texts by the same
# characters; the notation is valid in regular expressions of Python and of PostgreSQL. PostgreSQL's
# own text search parser depends on the server's locale for characters that are not ASCII: with the
# locale C, typographic quotes become part of the word, and a search for mug does not find “mug”.
_PUNCTUATION = (
    r"!-/:-@[-`{-~\u0080-\u00A9\u00AB-\u00B1\u00B4\u00B6-\u00B8\u00BB\u00BF\u00D7\u00F7"
    r"\u055A-\u055F\u0589\u05BE\u05F3\u05F4\u060C\u061B\u061F\u066A-\u066D\u06D4\u0964\u0965"
    r"\u2000-\u206F\u20A0-\u20CF\u2122\u2190-\u2BFF\u2E00-\u2E7F\u3000-\u3004\u3008-\u3020\u30FB"
    r"\uFE00-\uFE0F\uFE30-\uFE6F\uFEFF\uFF01-\uFF0F\uFF1A-\uFF20\uFF3B-\uFF40\uFF5B-\uFF65\uFFFD"
    r"\U0001F000-\U0001FAFF"
)
_SEPARATORS = re.compile(rf"[\x00-\x20\x7F{_PUNCTUATION}]+")


class SearchField(Field):
    """A column of PostgreSQL's type tsvector, which contains the words of a row."""

    field_type = "TSVECTOR"


def words_of(text: str, *, column_name: str | None = None) -> SearchField:
    """Return a generated tsvector column with the words of `text`, which is an SQL expression."""
    return SearchField(
        column_name=column_name,
        constraints=[
            SQL(
                "GENERATED ALWAYS AS (to_tsvector('simple', regexp_replace("
                f"normalize({text}) COLLATE \"C\", '[{_PUNCTUATION}]+', ' ', 'g'))) STORED"
            )
        ],
    )


def has_words(column: SearchField, parameter: str = "words") -> Expression:
    """Return the condition that the column matches the tsquery in a parameter (see `all_words`)."""
    return Expression(column, "@@", fn.to_tsquery("simple", Parameter(parameter)))


def all_words(text: str) -> str | None:
    """Return a tsquery that requires all words of a text; None if the text contains no word.

    Each word is a prefix: it also matches longer words that begin with it.
    """
    words = _SEPARATORS.split(unicodedata.normalize("NFC", text))
    return " & ".join(f"'{word}':*" for word in words if word) or None
