"""What is served beside the API: its document, Swagger UI, the problem catalogue, health."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from html import escape
from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.staticfiles import StaticFiles

from orderly.problems import PROBLEM_TYPES
from services import health

_HERE = Path(__file__).parent

# Swagger UI styles its elements inline; scripts come from this server alone.
_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
}


def routes(*, openapi_json: bytes, openapi_yaml: bytes) -> Router:
    """Return the router of every address outside the contract's base path."""
    swagger_ui = find_spec("flask_swagger_ui")
    assert swagger_ui is not None  # noqa: S101  # a dependency of this package
    assert swagger_ui.origin is not None  # noqa: S101
    assets = Path(swagger_ui.origin).parent / "dist"
    return Router(
        [
            Route("/", _redirect_to_docs),
            Route("/docs", _fixed((_HERE / "docs.html").read_bytes(), "text/html")),
            Route("/docs/", _redirect_to_docs),
            Route("/docs/start.js", _fixed((_HERE / "start.js").read_bytes(), "text/javascript")),
            Mount("/docs", StaticFiles(directory=assets)),
            Route("/openapi.json", _fixed(openapi_json, "application/json")),
            Route("/openapi.yaml", _fixed(openapi_yaml, "application/yaml")),
            Route("/problems", _fixed(_problem_catalogue(), "text/html")),
            Route("/health/live", _live),
            Route("/health/ready", _ready),
        ],
        redirect_slashes=False,
    )


def _fixed(content: bytes, media_type: str) -> Callable[[Request], Response]:
    """Serve bytes made at start, with a strong ETag (RFC 9110, section 8.8.3)."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'

    async def serve(request: Request) -> Response:
        headers = {**_PAGE_HEADERS, "ETag": etag}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=media_type, headers=headers)

    return serve  # type: ignore[return-value]  # Starlette takes coroutine functions too


async def _redirect_to_docs(_request: Request) -> Response:
    return RedirectResponse("/docs")


async def _live(_request: Request) -> Response:
    """Tell that this process answers."""
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


def _ready(_request: Request) -> Response:
    """Tell that requests can be served: the database answers and is migrated."""
    health.ready()
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


def _problem_catalogue() -> bytes:
    rows = "\n".join(
        f'<section id="{code}"><h2>{escape(kind.title)}</h2>'
        f"<p><code>{code}</code>, status {kind.status}</p><p>{escape(kind.remedy)}</p></section>"
        for code, kind in sorted(PROBLEM_TYPES.items(), key=lambda entry: (entry[1].status, entry))
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<title>Orderly: problem types</title>"
        "<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;"
        "padding:0 1rem}section:target{background:#fff3c4}</style></head><body>"
        "<h1>Problem types</h1><p>Each <code>type</code> of a problem document (RFC 9457) leads "
        f"to its entry here.</p>{rows}</body></html>"
    ).encode()
