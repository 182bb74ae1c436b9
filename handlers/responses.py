"""The type of every handler's response, and the base path of the URLs in responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

# The body (None if there is none), the status code, and the headers. The value of a header that is
# sent several times (Set-Cookie) is a list.
Response = tuple[Any, int, Mapping[str, Any]]

# The path under which the API is served: the first entry of `servers` in the OpenAPI document.
BASE_PATH = "/api/v1"


def to_json(body: Any) -> bytes:
    """Serialise the body of a response. UTC timestamps become RFC 3339 text that ends with `Z`."""
    return orjson.dumps(body, option=orjson.OPT_UTC_Z)
