"""Requests to operations of the contract, and checks of the responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orderly.verification.requests import Request, Violation, assert_documented
from orderly.verification.requests import json_request as _json_request
from tests.support.contract import CONTRACT, DOCUMENT, Node

__all__ = ["DOCUMENT", "EXAMPLES", "OPERATIONS", "Request", "Violation", "assert_documented"]

OPERATIONS: Mapping[str, Node] = CONTRACT.operations
EXAMPLES = CONTRACT.examples


def json_request(operation_id: str, body: Any = None) -> Request:
    """Return a request with a JSON body and nothing else."""
    return _json_request(CONTRACT, operation_id, body)
