"""Text in the cells of a CSV file: harmless to spreadsheets, and read back as it was."""

from __future__ import annotations

import re

# What spreadsheets take for the beginning of a formula (OWASP, CSV Injection), wide forms too.
_FORMULA = "[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
# An apostrophe tells a spreadsheet that text follows. Text that has some before a formula of its
# own is given one more, so that taking one away always gives what there was.
_TO_BE_MARKED = re.compile(f"'*{_FORMULA}")
_MARKED = re.compile(f"'+{_FORMULA}")


def harmless(text: str) -> str:
    """Return people's own words as a cell that no spreadsheet computes."""
    return f"'{text}" if _TO_BE_MARKED.match(text) else text


def as_it_was(cell: str) -> str:
    """Return the text that `harmless` made a cell of."""
    return cell[1:] if _MARKED.match(cell) else cell
