"""Validates the API's own responses against the contract: in tests, or if a setting enables it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from handlers.responses import to_json
from orderly.contract.closed_schemas import closed
from orderly.contract.schemas import CompiledSchema


class ResponseMismatchError(AssertionError):
    """A response violates the contract. The client gets a 500; only the log has the details."""


def is_json(media_type: str) -> bool:
    """Return whether bodies of this media type are JSON."""
    return media_type.partition(";")[0].endswith("json")


class ResponseCheck:
    """The documented responses of one operation, compiled for checking.

    Unlike a client, the check rejects members and enum values that the contract does not document.
    Bodies that are sent in chunks are not checked.
    """

    def __init__(self, responses: Mapping[str, Any]) -> None:
        self._bodies = {
            int(status): CompiledSchema(closed(content["schema"]))
            for status, response in responses.items()
            for media_type, content in response.get("content", {}).items()
            if is_json(media_type)
        }
        self._headers = {
            int(status): {
                name.lower(): (bool(header.get("required")), CompiledSchema(header["schema"]))
                for name, header in response.get("headers", {}).items()
                if name.lower() != "x-request-id"  # the outermost middleware adds it
            }
            for status, response in responses.items()
        }

    def __call__(self, body: Any, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Check one response.

        Raises:
            ResponseMismatchError: it violates the contract.
        """
        if status not in self._headers:
            raise ResponseMismatchError(f"status {status} is not documented")
        schema = self._bodies.get(status)
        if schema is not None and not isinstance(body, Iterator):
            document = orjson.loads(to_json(body))
            if not schema.accepts(document):
                raise ResponseMismatchError(f"body of {status}: {schema.violations(document)}")
        actual = {name.decode(): value.decode("latin-1") for name, value in headers}
        for name, (required, header_schema) in self._headers[status].items():
            if name not in actual:
                if required:
                    raise ResponseMismatchError(f"header {name} of {status} is missing")
            elif not header_schema.accepts(actual[name]):
                raise ResponseMismatchError(
                    f"header {name} of {status}: {header_schema.violations(actual[name])}"
                )
        undocumented = actual.keys() - self._headers[status].keys() - {"cache-control"}
        if undocumented:
            raise ResponseMismatchError(f"headers of {status} not documented: {undocumented}")
