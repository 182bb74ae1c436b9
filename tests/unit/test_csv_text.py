"""Text in CSV cells: no spreadsheet program evaluates it, and an import restores it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.csv_text import escape_formula, unescape_formula

FORMULA = re.compile("[=+\\-@\uff1d\uff0b\uff0d\uff20]")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("\t=1+1", "'\t'=1+1"),
        ("mug;=1+1", "mug;'=1+1"),
        ("mug\t@SUM(1)", "mug\t'@SUM(1)"),
        ("a;-1;+2", "a;'-1;'+2"),
        ("a;'=1", "a;''=1"),
        ("don't; no formula - here\n- nor here", "don't; no formula - here\n- nor here"),
    ],
)
def test_text_that_begins_a_formula_gets_an_apostrophe(text: str, cell: str) -> None:
    assert cell == escape_formula(text)
    assert text == unescape_formula(cell)


@given(st.text(alphabet="=+-@\uff1d;\t\r\n' a,\"", max_size=12))
def test_every_text_is_restored_and_is_no_formula_whatever_separates_the_cells(text: str) -> None:
    cell = escape_formula(text)

    assert text == unescape_formula(cell)
    # Cells are quoted; a program that separates them by another character than the comma does not
    # recognize the quotes.
    for part in (cell, *cell.split(";"), *cell.split("\t")):
        assert not FORMULA.match(part)
