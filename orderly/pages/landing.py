"""The front door: what this server is, and the way to everything that it serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_METHODS = ("get", "post", "put", "patch", "delete")


def front_door(contract: Mapping[str, Any], *, storefront: bool) -> bytes:
    """Return the page at `/`, made of the published document; it needs no script."""
    info = contract["info"]
    title, version = escape(info["title"]), escape(info["version"])
    introduction = escape(info["description"].split("\n\n")[0].replace("\n", " "))
    shop = '<a class="button" href="examples/storefront/">Example storefront</a>'
    base = escape(contract["servers"][0]["url"])
    groups = "\n".join(_group(contract, tag) for tag in contract["tags"])
    return page(
        f"{title} API",
        f"""<header><div>
<h1>{title} <span class="version">{version}</span></h1>
<p class="lead">{introduction}</p>
<p class="actions">
<a class="button first" href="docs">Read and try the API</a>
<a class="button" href="openapi.json" download="openapi.json">openapi.json</a>
<a class="button" href="openapi.yaml" download="openapi.yaml">openapi.yaml</a>
{shop if storefront else ""}
</p></div></header>
<main>
<div class="cards">
<div class="card"><h3><a href="changelog">Changelog</a></h3>
<p>What is new, and what has changed for whoever calls this API.</p></div>
<div class="card"><h3><a href="problems">Problem types</a></h3>
<p>Every error there is, by its <code>code</code>, and what to do about it.</p></div>
<div class="card"><h3><a href="health/ready">Health</a></h3>
<p>Whether requests can be served now; <a href="health/live">live</a> tells that the process is
up.</p></div>
</div>
<h2>Operations</h2>
<div class="cards">
{groups}
</div>
</main>
<footer>The API is at <code>{base}</code> of this server.</footer>""",
    )


def page(title: str, body: str) -> bytes:
    """Return a page in the common style."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title}</title>"
        '<link rel="icon" href="docs/favicon-32x32.png"><link rel="stylesheet" href="style.css">'
        f"</head><body>{body}</body></html>"
    ).encode()


def _group(contract: Mapping[str, Any], tag: Mapping[str, str]) -> str:
    name = tag["name"]
    operations = "".join(
        f'<li><span class="method">{method.upper()}</span>'
        f'<a href="docs#/{name}/{operation["operationId"]}">{escape(operation["summary"])}</a></li>'
        for method, operation in _operations(contract)
        if operation["tags"] == [name]
    )
    heading = escape(name.replace("_", " ").capitalize())
    return (
        f'<section class="card"><h3><a href="docs#/{name}">{heading}</a></h3>'
        f"<p>{escape(tag['description'])}</p><ul>{operations}</ul></section>"
    )


def _operations(contract: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for item in contract["paths"].values():
        for method in _METHODS:
            if method in item:
                yield method, item[method]
