"""The page of workflows: sequences of operations for common tasks."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

from orderly.contract.document import operations
from orderly.contract.workflows import SUFFIX, operation_id, parse, status
from orderly.pages.layout import page

WORKFLOWS_URL: Final = "/workflows"


def workflows_page(contract: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """Return the page at `/workflows`.

    Args:
        contract: The published OpenAPI document.
        files: The content of the files of workflows, by name.
    """
    tags = {
        operation["operationId"]: operation["tags"][0] for _, _, operation in operations(contract)
    }
    entries = "\n".join(_entry(name, parse(content), tags) for name, content in files.items())
    return page(
        "Orderly: workflows",
        f"""<main class="text"><h1>Workflows</h1>
<p>Sequences of operations for common tasks. Each has a file in the format
<a href="https://spec.openapis.org/arazzo/v1.0.1.html">Arazzo</a>, with which tools can run it
against a test system. A file refers to <code>../openapi.yaml</code>: save that too. For example, in
a checkout of Orderly:</p>
<pre tabindex="0"><code>npx @redocly/cli respect \\
  openapi/workflows/first_order{SUFFIX} \\
  -S shop=http://localhost:8000/api/v1 \\
  -i new_customer_email=mary@example.com</code></pre>
{entries}</main><footer><a href="./">Home</a></footer>""",
    )


def _entry(name: str, description: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    info = description["info"]
    steps = "".join(
        _step(step, tags) for workflow in description["workflows"] for step in workflow["steps"]
    )
    url = f"{WORKFLOWS_URL.removeprefix('/')}/{name}"
    return (
        f'<section id="{escape(name.removesuffix(SUFFIX))}"><h2>{escape(info["title"])}</h2>'
        f"<p>{escape(info['summary'])} {escape(info['description'])}</p>"
        f'<ol>{steps}</ol><p><a href="{escape(url)}">{escape(name)}</a></p></section>'
    )


def _step(step: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    operation = operation_id(step)
    return (
        f"<li>{escape(step['description'])}<br>"
        f'<a href="docs#/{tags[operation]}/{operation}"><code>{operation}</code></a>'
        f' <span class="version">{status(step)}</span></li>'
    )
