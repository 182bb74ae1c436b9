"""Escapes text for CSV cells, so that no spreadsheet program evaluates it as a formula."""

from __future__ import annotations

import re

# The characters that begin a formula (OWASP, CSV Injection), with their full-width forms.
_OPERATORS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_START = f"\\A(?='*[{_OPERATORS}\t\r\n])"
# A spreadsheet program can be configured to use another separator than the comma. It then starts a
# new cell after each semicolon or tab in the text.
_AFTER_SEPARATOR = f"(?<=[;\t])(?='*[{_OPERATORS}])"

# A leading apostrophe marks a cell as text. Text that already has apostrophes before a formula
# character gets one more, so that removing one apostrophe always restores the original text.
_NEEDS_ESCAPE = re.compile(f"{_START}|{_AFTER_SEPARATOR}")
_ESCAPED = re.compile(f"\\A'(?='*[{_OPERATORS}\t\r\n])|(?<=[;\t])'(?='*[{_OPERATORS}])")


def escape_formula(text: str) -> str:
    """Return text with apostrophes added, so that no part of it is evaluated as a formula."""
    return _NEEDS_ESCAPE.sub("'", text)


def unescape_formula(cell: str) -> str:
    """Return the original text of a cell that `escape_formula` returned."""
    return _ESCAPED.sub("", cell)
