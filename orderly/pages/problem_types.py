"""The catalogue of problem types as a page: where the `type` of every problem document leads."""

from __future__ import annotations

from html import escape

from orderly.http.problems import PROBLEM_TYPES, ProblemType
from orderly.pages.changelog import as_html
from orderly.pages.landing import page


def problem_types() -> bytes:
    """Return the page at `/problems`, by status."""
    by_status = sorted(PROBLEM_TYPES.items(), key=lambda entry: (entry[1].status, entry[0]))
    entries = "\n".join(_entry(code, kind) for code, kind in by_status)
    return page(
        "Orderly: problem types",
        f"""<main class="text"><h1>Problem types</h1>
<p>Each <code>type</code> of a problem document (RFC 9457) leads to its entry here.</p>
{entries}</main><footer><a href="./">Home</a></footer>""",
    )


def _entry(code: str, kind: ProblemType) -> str:
    return (
        f'<section id="{code}"><h2>{escape(kind.title)}</h2>'
        f"<p><code>{code}</code>, status {kind.status}</p>{as_html(kind.remedy)}</section>"
    )
