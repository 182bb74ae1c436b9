"""Escapes text for CSV cells, so that no spreadsheet program evaluates it as a formula."""

from __future__ import annotations

import re

# The characters that begin a formula (OWASP, CSV Injection), with their full-width forms.
_FORMULA_START = "[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
# A leading apostrophe marks a cell as text. Text that already has apostrophes before such a
# character gets one more, so that removing one apostrophe always restores the original text.
_NEEDS_ESCAPE = re.compile(f"'*{_FORMULA_START}")
_ESCAPED = re.compile(f"'+{_FORMULA_START}")


def escape(text: str) -> str:
    """Return text as the content of a cell that is not evaluated as a formula."""
    return f"'{text}" if _NEEDS_ESCAPE.match(text) else text


def unescape(cell: str) -> str:
    """Return the text from which `escape` made this cell."""
    return cell[1:] if _ESCAPED.match(cell) else cell
