"""What every problem document must hold, asserted in one place."""

from __future__ import annotations

from typing import Any

import httpx2


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Return the problem of an answer, having checked what all problems share (RFC 9457)."""
    assert status == answer.status_code, answer.text
    assert "application/problem+json" == answer.headers["content-type"]
    document: dict[str, Any] = answer.json()
    assert (status, code) == (document["status"], document["code"])
    assert f"/problems#{code}" == document["type"]
    assert answer.headers["x-request-id"] == document["request_id"]
    assert {"title", "detail"} <= document.keys()
    return document
