"""The files of the administration page, and what its scripts need to know about the shop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from orderly.http.problems import PROBLEM_TYPES

ADMIN_URL: Final = "/admin/"
_DIRECTORY: Final = Path(__file__).resolve().parent / "admin"
_MEDIA_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


def admin_files(contract: Mapping[str, Any], client: Path) -> dict[str, tuple[bytes, str]]:
    """Return the content and media type of each file of the page, by URL path.

    Args:
        contract: The published OpenAPI document.
        client: The file openapi-fetch.js, which the page has in common with the storefront.
    """
    files = [file for file in sorted(_DIRECTORY.iterdir()) if file.suffix in _MEDIA_TYPES]
    return {
        **{
            ADMIN_URL + ("" if file.name == "index.html" else file.name): (
                file.read_bytes(),
                _MEDIA_TYPES[file.suffix],
            )
            for file in [*files, client]
        },
        f"{ADMIN_URL}shop.json": (_shop(contract), "application/json"),
    }


def _shop(contract: Mapping[str, Any]) -> bytes:
    """Return the currency of the shop, and the remedy of each problem."""
    (currency,) = contract["components"]["schemas"]["Currency"]["enum"]
    remedies = {code: problem_type.remedy for code, problem_type in PROBLEM_TYPES.items()}
    return json.dumps({"currency": currency, "remedies": remedies}).encode()
