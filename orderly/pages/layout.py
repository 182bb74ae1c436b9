"""The HTML document around the content of every page."""

from __future__ import annotations


def page(title: str, body: str, *, root: str = "") -> bytes:
    """Return a complete HTML document. `title` and `body` are HTML.

    `root` is the relative URL of the directory of the landing page.
    """
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title}</title>"
        f'<link rel="icon" href="{root}docs/favicon-32x32.png">'
        f'<link rel="stylesheet" href="{root}style.css">'
        f"</head><body>{body}</body></html>"
    ).encode()
