"""Exits with status 0 if the server in this container responds."""

from __future__ import annotations

import os
import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

_TIMEOUT_SECONDS = 4


def responds(port: int) -> bool:
    """Return whether the server responds to a health check."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False


if __name__ == "__main__":
    sys.exit(0 if responds(int(os.environ.get("ORDERLY_PORT", "8000"))) else 1)
