"""The page for unknown paths, for browsers."""

from __future__ import annotations

from orderly.pages.layout import page


def not_found_page(path: str) -> bytes:
    """Return the page. Its links are relative to a path of any depth."""
    root = "../" * (path.count("/") - 1) or "./"
    return page(
        "Orderly: page not found",
        f"""<main class="text"><h1>Page not found</h1>
<p>There is nothing at this address. You can go to:</p>
<ul><li><a href="{root}">the start page</a></li>
<li><a href="{root}docs">the documentation of the API</a></li></ul></main>""",
        root=root,
    )
