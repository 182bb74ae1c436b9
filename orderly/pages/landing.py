"""The landing page: introduces the API and links to everything that the server offers."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from orderly.contract.document import operations
from orderly.pages.layout import page

_ADMIN_LINK = '<a class="button" href="admin/">Administration</a>'
_STOREFRONT_LINK = '<a class="button" href="examples/storefront/">Example storefront</a>'


def landing_page(contract: Mapping[str, Any], *, storefront: bool, admin_page: bool) -> bytes:
    """Return the page at `/`, built from the published OpenAPI document. It needs no script."""
    info = contract["info"]
    title, version = escape(info["title"]), escape(info["version"])
    introduction = escape(info["description"].split("\n\n")[0].replace("\n", " "))
    base_path = escape(contract["servers"][0]["url"])
    cards = "\n".join(_operations_card(contract, tag) for tag in contract["tags"])
    return page(
        f"{title} API",
        f"""<header><div>
<h1>{title} <span class="version">{version}</span></h1>
<p class="lead">{introduction}</p>
<p class="actions">
<a class="button first" href="docs">Read and try the API</a>
<a class="button" href="openapi.json" download="openapi.json">openapi.json</a>
<a class="button" href="openapi.yaml" download="openapi.yaml">openapi.yaml</a>
{_STOREFRONT_LINK if storefront else ""}
{_ADMIN_LINK if admin_page else ""}
</p></div></header>
<main>
<div class="cards">
<div class="card"><h2><a href="changelog">Changelog</a></h2>
<p>New features and changes to the API, by version.</p></div>
<div class="card"><h2><a href="workflows">Workflows</a></h2>
<p>Which operations to call, and in which sequence, for common tasks.</p></div>
<div class="card"><h2><a href="problems">Problem types</a></h2>
<p>Every error <code>code</code>, and what to do about it.</p></div>
<div class="card"><h2><a href="health/ready">Health</a></h2>
<p>Readiness: whether the server can serve requests now. <a href="health/live">Liveness</a>: whether
the process is running.</p></div>
</div>
<h2>Operations</h2>
<div class="cards">
{cards}
</div>
</main>
<footer>The base path of the API is <code>{base_path}</code>.</footer>""",
    )


def _operations_card(contract: Mapping[str, Any], tag: Mapping[str, str]) -> str:
    name = tag["name"]
    entries = "".join(
        f'<li><span class="method">{method.upper()}</span>'
        f'<a href="docs#/{name}/{operation["operationId"]}">{escape(operation["summary"])}</a></li>'
        for _, method, operation in operations(contract)
        if operation["tags"] == [name]
    )
    heading = escape(tag["x-displayName"])
    return (
        f'<section class="card"><h3><a href="docs#/{name}">{heading}</a></h3>'
        f"<p>{escape(tag['description'])}</p><ul>{entries}</ul></section>"
    )
