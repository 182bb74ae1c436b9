"""The changelog as a page, from the very file that developers write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Final

from orderly.pages.landing import page

_HERE = Path(__file__).resolve().parent
# An installed wheel has it beside this module, a checkout at its root.
_PLACES: Final = (_HERE / "CHANGELOG.md", _HERE.parents[1] / "CHANGELOG.md")

_HEADING = re.compile(r"(#{1,3}) (.+)")
_ITEMS = re.compile(r"(?:^<li>.*</li>$\n?)+", re.MULTILINE)
_INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\(([^)]+)\)|\[([^\]]+)\]")


def changelog() -> bytes:
    """Return the page at `/changelog`."""
    text = next(place for place in _PLACES if place.exists()).read_text(encoding="utf-8")
    return page(
        "Orderly: changelog",
        f'<main class="text">{as_html(text)}</main><footer><a href="./">Home</a></footer>',
    )


def as_html(text: str) -> str:
    """Return HTML for the little Markdown that the form of Keep a Changelog needs.

    Headings, paragraphs, lists of one level, code, bold text and links; those into the repository
    become plain text, since that is not served.
    """
    html = "\n".join(_html_of(block) for block in _blocks(text))
    return _ITEMS.sub(r"<ul>\g<0></ul>", html)


def _blocks(text: str) -> Iterator[list[str]]:
    """Yield the lines of each heading, list item and paragraph."""
    block: list[str] = []
    for line in [*text.splitlines(), ""]:
        starts = not line.strip() or line.startswith("- ") or _HEADING.fullmatch(line)
        if starts and block:
            yield block
            block = []
        if line.strip():
            block.append(line.strip())


def _html_of(block: list[str]) -> str:
    text = " ".join(block)
    if heading := _HEADING.fullmatch(text):
        level = len(heading[1])
        return f"<h{level}>{_inline(heading[2])}</h{level}>"
    if text.startswith("- "):
        return f"<li>{_inline(text[2:])}</li>"
    return f"<p>{_inline(text)}</p>"


def _inline(text: str) -> str:
    found, end = [], 0
    for match in _INLINE.finditer(text):
        found.append(escape(text[end : match.start()]))
        found.append(_marked(match))
        end = match.end()
    return "".join([*found, escape(text[end:])])


def _marked(match: re.Match[str]) -> str:
    code, bold, label, target, reference = match.groups()
    if code:
        return f"<code>{escape(code)}</code>"
    if bold:
        return f"<b>{escape(bold)}</b>"
    if label and target.startswith("https://"):
        return f'<a href="{escape(target)}">{escape(label)}</a>'
    return escape(label or reference)
