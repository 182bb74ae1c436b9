"""Checks that every problem document (RFC 9457) must pass."""

from __future__ import annotations

from typing import Any

import httpx2


def assert_problem(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Check a response's problem document; return it."""
    assert status == response.status_code, response.text
    assert "application/problem+json" == response.headers["content-type"]
    document: dict[str, Any] = response.json()
    assert (status, code) == (document["status"], document["code"])
    assert f"/problems#{code}" == document["type"]
    assert response.headers["x-request-id"] == document["request_id"]
    assert {"title", "detail"} <= document.keys()
    return document
