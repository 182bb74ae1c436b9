"""What is served beside the API: the front door, the document, Swagger UI, problems, health."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.staticfiles import StaticFiles

from orderly.contract import document
from orderly.pages.changelog import changelog
from orderly.pages.landing import front_door
from orderly.pages.problem_types import problem_types
from services import health

_HERE = Path(__file__).resolve().parent
_STOREFRONT: Final = "/examples/storefront/"
# An installed wheel has it beside this module, a checkout with the other examples.
_STOREFRONT_PLACES: Final = (
    _HERE / "storefront",
    _HERE.parents[1] / "docs" / "examples" / "storefront",
)
_MEDIA_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}

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


def routes(
    contract: Mapping[str, Any],
    *,
    ready: Callable[[], None] = health.ready,
    storefront: bool = False,
) -> Router:
    """Return the router of every address outside the contract's base path.

    `contract` is the published document; `ready` raises while requests cannot be served.
    """
    swagger_ui = find_spec("flask_swagger_ui")
    assert swagger_ui is not None  # noqa: S101  # a dependency of this package
    assert swagger_ui.origin is not None  # noqa: S101
    assets = Path(swagger_ui.origin).parent / "dist"
    fixed = {
        "/": (front_door(contract, storefront=storefront), "text/html"),
        "/style.css": ((_HERE / "style.css").read_bytes(), "text/css"),
        "/changelog": (changelog(), "text/html"),
        "/docs": ((_HERE / "docs.html").read_bytes(), "text/html"),
        "/docs/start.js": ((_HERE / "start.js").read_bytes(), "text/javascript"),
        "/openapi.json": (document.as_json(contract), "application/json"),
        "/openapi.yaml": (document.as_yaml(contract), "application/yaml"),
        "/problems": (problem_types(), "text/html"),
        **(_storefront() if storefront else {}),
    }
    return Router(
        [
            *(Route(path, _fixed(*content)) for path, content in fixed.items()),
            Route("/docs/", _redirect_to("/docs")),
            Mount("/docs", StaticFiles(directory=assets)),
            *([Route(_STOREFRONT.rstrip("/"), _redirect_to(_STOREFRONT))] if storefront else []),
            Route("/health/live", _live),
            Route("/health/ready", _readiness(ready)),
        ],
        redirect_slashes=False,
    )


def _storefront() -> dict[str, tuple[bytes, str]]:
    """Return the files of the example storefront by their addresses."""
    directory = next(place for place in _STOREFRONT_PLACES if place.is_dir())
    return {
        _STOREFRONT + ("" if file.name == "index.html" else file.name): (
            file.read_bytes(),
            _MEDIA_TYPES[file.suffix],
        )
        for file in sorted(directory.iterdir())
        if file.suffix in _MEDIA_TYPES
    }


def _fixed(content: bytes, media_type: str) -> Callable[[Request], Response]:
    """Serve bytes made at start, with a strong ETag (RFC 9110, section 8.8.3)."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'

    async def serve(request: Request) -> Response:
        headers = {**_PAGE_HEADERS, "ETag": etag}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=media_type, headers=headers)

    return serve  # type: ignore[return-value]  # Starlette takes coroutine functions too


def _redirect_to(address: str) -> Callable[[Request], Response]:
    async def redirect(_request: Request) -> Response:
        return RedirectResponse(address)

    return redirect  # type: ignore[return-value]  # as above


async def _live(_request: Request) -> Response:
    """Tell that this process answers."""
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


def _readiness(ready: Callable[[], None]) -> Callable[[Request], Response]:
    """Tell that requests can be served: the database answers and is migrated."""

    def answer(_request: Request) -> Response:
        ready()
        return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})

    return answer
