"""The files of the example storefront."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final

from services.demo import Account

STOREFRONT_URL: Final = "/examples/storefront/"
# The wheel contains a copy of the storefront in this package; a checkout has it in docs/examples.
_HERE = Path(__file__).resolve().parent
_DIRECTORIES: Final = (
    _HERE / "storefront",
    _HERE.parents[1] / "docs" / "examples" / "storefront",
)
_MEDIA_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


def storefront_directory() -> Path:
    """Return the directory of the storefront's files."""
    return next(path for path in _DIRECTORIES if path.is_dir())


def storefront_files(demo_customer: Account | None) -> dict[str, tuple[bytes, str]]:
    """Return the content and media type of each storefront file, by URL path.

    With `demo_customer`, the page has the account in attributes: only the page of a demo.
    """
    files = {
        STOREFRONT_URL + file.name: (file.read_bytes(), _MEDIA_TYPES[file.suffix])
        for file in sorted(storefront_directory().iterdir())
        if file.suffix in _MEDIA_TYPES
    }
    page, media_type = files.pop(f"{STOREFRONT_URL}index.html")
    if demo_customer is not None:
        page = page.replace(b"<body>", _body(demo_customer).encode(), 1)
    return {STOREFRONT_URL: (page, media_type), **files}


def _body(customer: Account) -> str:
    email, password = escape(customer.email), escape(customer.password)
    return f'<body data-demo-email="{email}" data-demo-password="{password}">'
