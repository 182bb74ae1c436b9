"""Conversion from Markdown to HTML for the pages."""

from __future__ import annotations

from orderly.pages.markdown import as_html


def test_markdown_becomes_html() -> None:
    html = as_html("- **Orders.** See `GET /orders`,\n  [docs](https://example.com/a?b=1&c=2).")

    assert (
        "<ul>\n<li><strong>Orders.</strong> See <code>GET /orders</code>,\n"
        '<a href="https://example.com/a?b=1&amp;c=2">docs</a>.</li>\n</ul>\n'
    ) == html


def test_raw_html_is_escaped() -> None:
    assert "<p>&lt;b onclick=&quot;x()&quot;&gt;</p>\n" == as_html('<b onclick="x()">')


def test_only_https_links_remain_links() -> None:
    html = as_html("[A](docs/a.md), [b](javascript:x()), **[c](http://example.com)** and [d]")

    assert "<p>A, [b](javascript:x()), <strong>c</strong> and [d]</p>\n" == html
