"""The changelog page, rendered from CHANGELOG.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from orderly.pages.layout import page
from orderly.pages.markdown import as_html

_HERE = Path(__file__).resolve().parent
# The wheel contains a copy in this package; a checkout has the file at its root.
_PATHS: Final = (_HERE / "CHANGELOG.md", _HERE.parents[1] / "CHANGELOG.md")

# Changes that no version has yet
_UNRELEASED = re.compile(r"^## \[Unreleased\].*?(?=^## )", re.MULTILINE | re.DOTALL)
_VERSION_HEADING = re.compile(r"^## \[([^]]+)\]", re.MULTILINE)


def changelog_page() -> bytes:
    """Return the page at `/changelog`."""
    text = next(path for path in _PATHS if path.exists()).read_text(encoding="utf-8")
    text = _UNRELEASED.sub("", text)
    # Keep a Changelog writes versions in brackets, as link references. Ours have no link targets.
    text = _VERSION_HEADING.sub(r"## \1", text)
    return page(
        "Orderly: changelog",
        f'<main class="text">{as_html(text)}</main><footer><a href="./">Home</a></footer>',
    )
