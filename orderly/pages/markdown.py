"""Converts Markdown to HTML."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore


def _hide_relative_links(state: StateCore) -> None:
    """Keep only the text of links into the repository: the server does not serve those files."""
    for block in state.tokens:
        hidden = False
        for token in block.children or ():
            if token.type == "link_open":
                hidden = not str(token.attrs["href"]).startswith("https://")
            if token.type in ("link_open", "link_close"):
                token.hidden = hidden


_MARKDOWN = MarkdownIt("commonmark", {"html": False})  # escapes raw HTML
_MARKDOWN.core.ruler.push("hide_relative_links", _hide_relative_links)


def as_html(text: str) -> str:
    """Return CommonMark text as HTML. Raw HTML is escaped; only https links remain links."""
    html: str = _MARKDOWN.render(text)
    return html
