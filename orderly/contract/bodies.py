"""Request bodies: bounded, strictly parsed as JSON (RFC 8259), judged by the document."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from math import isfinite
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, NoReturn, cast

from orjson import JSONDecodeError, loads
from starlette.types import Receive

from orderly.contract.csv_rows import CsvPlan
from orderly.contract.schemas import CompiledSchema, Violation
from orderly.http.problems import Problem

# A file up to here stays in memory; a longer one goes on disk.
_KEPT_IN_MEMORY = 1 << 20


class BodyPlan:
    """The request body of one operation: its media types, bound and schemas."""

    def __init__(self, definition: Mapping[str, Any], *, max_bytes: int) -> None:
        self._required = bool(definition.get("required"))
        self._max_bytes: int = definition.get("x-max-bytes", max_bytes)
        self._schemas: dict[str, CompiledSchema | CsvPlan] = {
            media_type.lower(): CsvPlan(content["x-csv-row"])
            if "x-csv-row" in content
            else CompiledSchema(content["schema"])
            for media_type, content in definition["content"].items()
        }

    @property
    def is_file(self) -> bool:
        """Tell whether a body is a file of rows, which are read and judged as they are taken."""
        return any(isinstance(schema, CsvPlan) for schema in self._schemas.values())

    async def read(self, headers: Iterable[tuple[bytes, bytes]], receive: Receive) -> Any:
        """Return the parsed body, or None where an optional one is absent.

        A file of CSV is kept on disk, and its rows are read and judged as they are taken.

        Raises:
            Problem: `unsupported_media_type`, `payload_too_large` or `malformed_request`.
        """
        content_type, length = _content_headers(headers)
        schema = self._schema_for(content_type) if content_type else None
        if length is not None and length > self._max_bytes:
            raise self._too_large()
        if isinstance(schema, CsvPlan):
            file = SpooledTemporaryFile(max_size=_KEPT_IN_MEMORY)  # noqa: SIM115  # its rows are read
            rows = schema.rows(cast(BinaryIO, file))  # which close it in any case
            async for chunk in self._chunks(receive):
                file.write(chunk)
            return rows
        body = b"".join([chunk async for chunk in self._chunks(receive)])
        if not body:
            if self._required:
                raise _malformed([Violation((), "required", "is required")])
            return None
        if schema is None:
            raise self._unsupported("The body has no Content-Type.")
        document = parse(body)
        if not schema.accepts(document):
            raise _malformed(schema.violations(document))
        return document

    def _schema_for(self, content_type: str) -> CompiledSchema | CsvPlan:
        media_type, _, parameters = content_type.partition(";")
        schema = self._schemas.get(media_type.strip().lower())
        if schema is None:
            raise self._unsupported("This operation does not take the body's media type.")
        # RFC 8259, section 8.1: JSON between systems is UTF-8; application/json has no charset.
        for parameter in parameters.split(";"):
            name, _, value = parameter.strip().partition("=")
            if name.lower() == "charset" and value.strip('" ').lower() not in {"utf-8", "utf8"}:
                raise self._unsupported("The body's charset must be utf-8.")
        return schema

    async def _chunks(self, receive: Receive) -> AsyncIterator[bytes]:
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > self._max_bytes:
                raise self._too_large()
            yield chunk
            more = message.get("more_body", False)

    def _too_large(self) -> Problem:
        return Problem(
            "payload_too_large",
            f"The body may have at most {self._max_bytes} bytes.",
            max_bytes=self._max_bytes,
        )

    def _unsupported(self, detail: str) -> Problem:
        return Problem("unsupported_media_type", detail, supported=list(self._schemas))


class ClientGoneError(Exception):
    """The client hung up before its request was whole."""


def parse(body: bytes) -> Any:
    """Return what a JSON text says; refuse what would be read in two ways.

    Raises:
        Problem: `malformed_request`: not UTF-8, no JSON, NaN or Infinity, an object that names a
            member twice, an unpaired surrogate, numbers or nesting beyond any sense.
    """
    try:
        text = body.decode()
        document = _DECODER.decode(text)
        if "\\u" in text or text.count("[") + text.count("{") > _SUSPICIOUS_BRACKETS:
            # Refuses unpaired surrogates, which no UTF-8 answer could repeat, and nesting beyond
            # 1024, where Python's own parser has another limit in each version.
            loads(body)
    except UnicodeDecodeError as error:
        raise Problem("malformed_request", "The body is not UTF-8.") from error
    except JSONDecodeError as error:
        deep = "depth" in error.msg
        raise _not_json("nested too deeply" if deep else "an unpaired surrogate") from error
    except json.JSONDecodeError as error:
        raise _not_json(f"{error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise _not_json("nested too deeply") from error
    except ValueError as error:
        raise _not_json(
            str(error) if str(error) in _OWN_REASONS else "a number too long"
        ) from error
    return document


_SUSPICIOUS_BRACKETS = 1000

_DUPLICATE = "an object that names a member twice"
_NOT_FINITE = "NaN or Infinity"
_OWN_REASONS = {_DUPLICATE, _NOT_FINITE}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError(_DUPLICATE)
    return members


def _not_finite(_: str) -> NoReturn:
    raise ValueError(_NOT_FINITE)


def _finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _not_finite(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_not_finite, parse_float=_finite
)


def _not_json(reason: str) -> Problem:
    return Problem("malformed_request", f"The body is not JSON: {reason}.")


def _malformed(violations: Iterable[Violation]) -> Problem:
    return Problem(
        "malformed_request",
        "The body does not fit the contract.",
        errors=[
            {"pointer": _pointer(one.path), "code": one.code, "message": one.message}
            for one in violations
        ],
    )


def _pointer(path: tuple[str | int, ...]) -> str:
    """Return an RFC 6901 JSON pointer."""
    return "".join(f"/{str(part)[:64].replace('~', '~0').replace('/', '~1')}" for part in path)


def _content_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str | None, int | None]:
    content_type = length = None
    for name, value in headers:
        if name == b"content-type":
            content_type = value.decode("latin-1")
        elif name == b"content-length":
            length = int(value)
    return content_type, length
