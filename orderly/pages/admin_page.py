"""The files of the administration page, and what its scripts need to know about the shop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from orderly.http.problems import PROBLEM_TYPES
from orderly.pages.static_files import Files, files_of

ADMIN_URL: Final = "/admin/"
_DIRECTORY: Final = Path(__file__).resolve().parent / "admin"


def admin_files(contract: Mapping[str, Any], client: Path) -> Files:
    """Return the content and media type of each file of the page, by URL path.

    Args:
        contract: The published OpenAPI document.
        client: The file openapi-fetch.js, which the page has in common with the storefront.
    """
    return {
        **files_of(_DIRECTORY, ADMIN_URL),
        ADMIN_URL + client.name: (client.read_bytes(), "text/javascript"),
        f"{ADMIN_URL}shop.json": (_shop(contract), "application/json"),
    }


def _shop(contract: Mapping[str, Any]) -> bytes:
    """Return the currency of the shop, and the remedy of each problem."""
    (currency,) = contract["components"]["schemas"]["Currency"]["enum"]
    remedies = {code: problem_type.remedy for code, problem_type in PROBLEM_TYPES.items()}
    return json.dumps({"currency": currency, "remedies": remedies}).encode()
