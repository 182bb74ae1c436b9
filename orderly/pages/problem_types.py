"""The page of problem types: the target of the `type` link in every problem document."""

from __future__ import annotations

from html import escape

from orderly.http.problems import PROBLEM_TYPES, ProblemType
from orderly.pages.layout import page
from orderly.pages.markdown import as_html


def problem_types_page() -> bytes:
    """Return the page at `/problems`, sorted by status and code."""
    by_status = sorted(PROBLEM_TYPES.items(), key=lambda entry: (entry[1].status, entry[0]))
    entries = "\n".join(_entry(code, problem_type) for code, problem_type in by_status)
    return page(
        "Orderly: problem types",
        f"""<main class="text"><h1>Problem types</h1>
<p>The <code>type</code> of a problem document (RFC 9457) links to its entry on this page.</p>
{entries}</main><footer><a href="./">Home</a></footer>""",
    )


def _entry(code: str, problem_type: ProblemType) -> str:
    return (
        f'<section id="{code}"><h2>{escape(problem_type.title)}</h2>'
        f"<p><code>{code}</code>, status {problem_type.status}</p>"
        f"{as_html(problem_type.remedy)}</section>"
    )
