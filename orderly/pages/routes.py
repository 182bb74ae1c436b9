"""Routes outside the API: pages, the OpenAPI document, Swagger UI, storefront, health checks."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from domain.errors import NotFound
from handlers import preconditions
from integrations.payments.sandbox import PAGE
from orderly.contract import document
from orderly.contract.workflows import read_workflows
from orderly.http.compression import (
    MIN_BYTES,
    accept_encoding_of,
    accepts_gzip,
    compress,
    tag_of_gzip,
)
from orderly.http.readiness import Readiness
from orderly.http.security_headers import DOCS_POLICY, MAIL_POLICY, PAGE_POLICY
from orderly.pages.admin_page import ADMIN_URL, admin_files
from orderly.pages.changelog import changelog_page
from orderly.pages.landing import landing_page
from orderly.pages.not_found import not_found_page
from orderly.pages.problem_types import problem_types_page
from orderly.pages.storefront_page import STOREFRONT_URL, storefront_directory, storefront_files
from orderly.pages.workflows import WORKFLOWS_URL, workflows_page
from services.sandbox import get_sandbox_mail

if TYPE_CHECKING:
    from services.demo import Account

_HERE = Path(__file__).resolve().parent
_DOCS_URL: Final = "/docs"
_MAIL_URL: Final = "/sandbox/mail"
# The large files of Swagger UI that the page loads; the others are served from the disk.
_SWAGGER_UI_FILES: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}
# zlib's usual level: a file is compressed once, at its first request.
_FILE_LEVEL: Final = 6


class _PageRouter(Router):
    """Adds the content security policy of pages to all responses, including errors.

    To an unknown path, browsers get a page, and other clients a problem document.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            is_docs = scope["path"] == _DOCS_URL or scope["path"].startswith(f"{_DOCS_URL}/")
            scope["orderly"]["headers"] = DOCS_POLICY if is_docs else PAGE_POLICY
        await super().__call__(scope, receive, send)

    async def not_found(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request for an unknown path."""
        if scope["type"] == "http" and "text/html" in Headers(scope=scope).get("accept", ""):
            response = HTMLResponse(not_found_page(scope["path"]), 404)
            await response(scope, receive, send)
        else:
            await super().not_found(scope, receive, send)


def page_router(
    contract: Mapping[str, Any],
    *,
    readiness: Readiness,
    storefront: bool = False,
    demo_customer: Account | None = None,
    admin_page: bool = False,
    sandbox: bool = False,
    sandbox_mail: bool = False,
) -> Router:
    """Return a router for every path outside the API's base path.

    Args:
        contract: The published OpenAPI document.
        readiness: Whether this process can serve requests.
        storefront: Whether to serve the example storefront too.
        demo_customer: The account that the storefront shows in the sign-in dialog, in a demo.
        admin_page: Whether to serve the administration page too.
        sandbox: Whether to serve the payment page of the sandbox too.
        sandbox_mail: Whether to serve the page with the mails of the sandbox too.
    """
    workflows = read_workflows()
    files = {
        "/": (landing_page(contract, storefront=storefront, admin_page=admin_page), "text/html"),
        "/style.css": ((_HERE / "style.css").read_bytes(), "text/css"),
        "/changelog": (changelog_page(), "text/html"),
        "/docs": ((_HERE / "docs.html").read_bytes(), "text/html"),
        "/docs/start.css": ((_HERE / "start.css").read_bytes(), "text/css"),
        "/docs/start.js": ((_HERE / "start.js").read_bytes(), "text/javascript"),
        "/problems": (problem_types_page(), "text/html"),
        WORKFLOWS_URL: (workflows_page(contract, workflows), "text/html"),
        **{
            f"/docs/{name}": ((_swagger_ui_directory() / name).read_bytes(), media_type)
            for name, media_type in _SWAGGER_UI_FILES.items()
        },
    }
    redirects = {"/docs/": "/docs"}
    if storefront:
        files.update(storefront_files(demo_customer))
        redirects[STOREFRONT_URL.rstrip("/")] = STOREFRONT_URL
    if admin_page:
        files.update(admin_files(contract, storefront_directory() / "openapi-fetch.js"))
        redirects[ADMIN_URL.rstrip("/")] = ADMIN_URL
    if sandbox:
        # The same page for all payments: its script reads the id in the path.
        files[PAGE + "{payment_id}"] = ((_HERE / "sandbox.html").read_bytes(), "text/html")
        files["/sandbox.js"] = ((_HERE / "sandbox.js").read_bytes(), "text/javascript")
    if sandbox_mail:
        files[_MAIL_URL] = ((_HERE / "sandbox_mail.html").read_bytes(), "text/html")
        files["/sandbox_mail.js"] = ((_HERE / "sandbox_mail.js").read_bytes(), "text/javascript")
    if sandbox or sandbox_mail:
        files["/sandbox.css"] = ((_HERE / "sandbox.css").read_bytes(), "text/css")
    return _PageRouter(
        [
            *(Route(path, _file_endpoint(*file)) for path, file in files.items()),
            *(
                Route(path, _file_endpoint(*file, any_origin=True))
                for path, file in {
                    "/openapi.json": (document.as_json(contract), "application/json"),
                    "/openapi.yaml": (document.as_yaml(contract), "application/yaml"),
                    **{
                        f"{WORKFLOWS_URL}/{name}": (content, "application/yaml")
                        for name, content in workflows.items()
                    },
                }.items()
            ),
            *(Route(path, _redirect_endpoint(target)) for path, target in redirects.items()),
            Mount("/docs", StaticFiles(directory=_swagger_ui_directory())),
            *([Route(_MAIL_URL + "/{mail_id}", _mail)] if sandbox_mail else []),
            Route("/health/live", _live),
            Route("/health/ready", _readiness_endpoint(readiness)),
        ],
        redirect_slashes=False,
    )


def _swagger_ui_directory() -> Path:
    """Return the directory of Swagger UI's files, without importing the package and Flask."""
    package = find_spec("flask_swagger_ui")
    assert package is not None  # noqa: S101  # a dependency of this package
    assert package.origin is not None  # noqa: S101
    return Path(package.origin).parent / "dist"


def _file_endpoint(
    content: bytes, media_type: str, *, any_origin: bool = False
) -> Callable[[Request], Response]:
    """Return an endpoint that serves constant text with a strong ETag (RFC 9110, 8.8.3).

    With `any_origin`, pages of all origins may read it, such as an editor for OpenAPI documents.
    """
    plain_tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    shared_headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if any_origin:
        shared_headers["Access-Control-Allow-Origin"] = "*"
    compressed: bytes | None = None

    async def serve(request: Request) -> Response:
        nonlocal compressed
        is_gzip = len(content) >= MIN_BYTES and accepts_gzip(
            accept_encoding_of(request.scope["headers"])
        )
        etag = tag_of_gzip(plain_tag) if is_gzip else plain_tag
        headers = {**shared_headers, "ETag": etag}
        if preconditions.is_unchanged(request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers=headers)
        if not is_gzip:
            return Response(content, media_type=media_type, headers=headers)
        if compressed is None:
            compressed = await compress(content, _FILE_LEVEL)
        headers["Content-Encoding"] = "gzip"
        return Response(compressed, media_type=media_type, headers=headers)

    return serve  # type: ignore[return-value]  # Starlette accepts coroutine functions too


def _redirect_endpoint(url: str) -> Callable[[Request], Response]:
    async def redirect(_request: Request) -> Response:
        return RedirectResponse(url)

    return redirect  # type: ignore[return-value]  # see _file_endpoint


async def _mail(request: Request) -> Response:
    """Return the HTML part of a mail, for a frame whose links open in the window around it."""
    try:
        mail = await asyncio.to_thread(get_sandbox_mail, request.path_params["mail_id"])
    except NotFound:
        return PlainTextResponse("This mail is not in the sandbox any more.", 404)
    request.scope["orderly"]["headers"] = MAIL_POLICY
    html = mail.html.replace("<head>", '<head><base target="_top">', 1)
    return HTMLResponse(html, headers={"Cache-Control": "no-store"})


async def _live(_request: Request) -> Response:
    """Liveness check: respond without using the database."""
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


def _readiness_endpoint(readiness: Readiness) -> Callable[[Request], Response]:
    async def ready(_request: Request) -> Response:
        await readiness.ready()
        return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})

    return ready  # type: ignore[return-value]  # see _file_endpoint
