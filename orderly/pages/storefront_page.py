"""The files of the example storefront."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orderly.pages.static_files import Files, files_of

if TYPE_CHECKING:
    from services.demo import Account

STOREFRONT_URL: Final = "/examples/storefront/"
# The wheel contains a copy of the storefront in this package; a checkout has it in docs/examples.
_HERE = Path(__file__).resolve().parent
_DIRECTORIES: Final = (
    _HERE / "storefront",
    _HERE.parents[1] / "docs" / "examples" / "storefront",
)


def storefront_directory() -> Path:
    """Return the directory of the storefront's files."""
    return next(path for path in _DIRECTORIES if path.is_dir())


def storefront_files(demo_customer: Account | None) -> Files:
    """Return the content and media type of each storefront file, by URL path.

    With `demo_customer`, the page has the account in attributes: only the page of a demo.
    """
    files = files_of(storefront_directory(), STOREFRONT_URL)
    if demo_customer is not None:
        page, media_type = files[STOREFRONT_URL]
        page = page.replace(b"<body>", _body(demo_customer).encode(), 1)
        files[STOREFRONT_URL] = (page, media_type)
    return files


def _body(customer: Account) -> str:
    email, password = escape(customer.email), escape(customer.password)
    return f'<body data-demo-email="{email}" data-demo-password="{password}">'
