"""Searching rows by their words: how a row's words are kept, and how some are asked for."""

from __future__ import annotations

import re

from peewee import SQL, Expression, Field, fn

from models.statement import Parameter

# What stands between words: migrations split the text of a row by the same rule. What else there
# may be beside letters and digits is left to PostgreSQL's own parser, on both sides.
_PUNCTUATION = "!-/:-@[-`{-~"
_NO_WORD = re.compile(r"[\x00-/:-@\[-`{-\x7f]+")


class SearchField(Field):
    """The words of a row, as PostgreSQL's text search keeps them."""

    field_type = "TSVECTOR"


def words_of(text: str) -> SearchField:
    """Return the generated column of the words of a row, `text` being an expression in SQL."""
    return SearchField(
        constraints=[
            SQL(
                "GENERATED ALWAYS AS (to_tsvector('simple', regexp_replace("
                f"({text}) COLLATE \"C\", '[{_PUNCTUATION}]+', ' ', 'g'))) STORED"
            )
        ]
    )


def has_words(column: SearchField, parameter: str = "words") -> Expression:
    """Return the condition that a row has the words of a parameter."""
    return Expression(column, "@@", fn.to_tsquery("simple", Parameter(parameter)))


def all_words(text: str) -> str | None:
    """Return a text search for every word of a text, or its beginning; None if it has no word."""
    return " & ".join(f"'{word}':*" for word in _NO_WORD.split(text) if word) or None
