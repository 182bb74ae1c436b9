"""The HTML document around the content of every page."""

from __future__ import annotations


def page(title: str, body: str) -> bytes:
    """Return a complete HTML document. `title` and `body` are HTML."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title}</title>"
        '<link rel="icon" href="docs/favicon-32x32.png"><link rel="stylesheet" href="style.css">'
        f"</head><body>{body}</body></html>"
    ).encode()
