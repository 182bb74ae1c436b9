"""Holds our own answers to the contract; on in every test, a setting in production."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from orderly.contract.schemas import CompiledSchema


class ResponseMismatchError(AssertionError):
    """An answer departs from the contract: a fault of ours, told in full to the log alone."""


def is_json(media_type: str) -> bool:
    """Tell whether answers of this media type are JSON; others are iterators of bytes."""
    return media_type.partition(";")[0].endswith("json")


class ResponseCheck:
    """The documented responses of one operation, ready to judge an answer.

    The body of a stream is not judged: it is not there yet.
    """

    def __init__(self, responses: Mapping[str, Any]) -> None:
        self._bodies = {
            int(status): CompiledSchema(content["schema"])
            for status, response in responses.items()
            for media_type, content in response.get("content", {}).items()
            if is_json(media_type)
        }
        self._headers = {
            int(status): {
                name.lower(): (bool(header.get("required")), CompiledSchema(header["schema"]))
                for name, header in response.get("headers", {}).items()
                if name.lower() != "x-request-id"  # the outermost layer adds it to every answer
            }
            for status, response in responses.items()
        }

    def __call__(self, body: Any, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Pass an answer that is as documented.

        Raises:
            ResponseMismatchError: it is not.
        """
        if status not in self._headers:
            raise ResponseMismatchError(f"status {status} is not documented")
        if schema := self._bodies.get(status):
            document = orjson.loads(orjson.dumps(body))
            if not schema.accepts(document):
                raise ResponseMismatchError(f"body of {status}: {schema.violations(document)}")
        sent = {name.decode(): value.decode("latin-1") for name, value in headers}
        for name, (required, header_schema) in self._headers[status].items():
            if name not in sent:
                if required:
                    raise ResponseMismatchError(f"header {name} of {status} is missing")
            elif not header_schema.accepts(sent[name]):
                raise ResponseMismatchError(
                    f"header {name} of {status}: {header_schema.violations(sent[name])}"
                )
        undocumented = sent.keys() - self._headers[status].keys() - {"cache-control"}
        if undocumented:
            raise ResponseMismatchError(f"headers of {status} not documented: {undocumented}")
