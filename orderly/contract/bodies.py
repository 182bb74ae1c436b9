"""Request bodies: limited in size, parsed strictly as JSON (RFC 8259), checked by their schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, NoReturn, cast

from orjson import JSONDecodeError, loads
from starlette.types import Receive

from orderly.contract.body_size import max_json_bytes
from orderly.contract.csv_rows import CsvPlan
from orderly.contract.references import escape
from orderly.contract.schemas import CompiledSchema, Violation
from orderly.http.problems import Problem

# A larger file is stored on disk.
_MAX_MEMORY_BYTES = 1 << 20

# orjson refuses nesting deeper than 1024. A text with fewer brackets cannot be nested that deep.
_MAX_UNCHECKED_BRACKETS = 1000


class ClientDisconnectedError(Exception):
    """The client closed the connection before it had sent the whole request."""


class BodyPlan:
    """The request body of one operation: its media types, their schemas, and its maximum size.

    The maximum size follows from the schemas, unless the document states one (`x-max-bytes`).
    """

    def __init__(self, definition: Mapping[str, Any]) -> None:
        """Compile the definition of a request body.

        Raises:
            UnboundedBodyError: a schema has no upper bound for the size of a valid body.
        """
        self._required = bool(definition.get("required"))
        # A signature covers the bytes of the body: the handler gets them, unparsed and unvalidated.
        self._is_raw = bool(definition.get("x-raw-body"))
        self.max_bytes: int = definition.get("x-max-bytes") or max(
            max_json_bytes({}, content["schema"]) for content in definition["content"].values()
        )
        self._schemas: dict[str, CompiledSchema | CsvPlan] = {
            media_type.lower(): CsvPlan(content["x-csv-row"], max_rows=content["x-max-rows"])
            if "x-csv-row" in content
            else CompiledSchema(content["schema"])
            for media_type, content in definition["content"].items()
        }

    @property
    def is_file(self) -> bool:
        """Whether a body can be a CSV file, whose rows are parsed during iteration."""
        return any(isinstance(schema, CsvPlan) for schema in self._schemas.values())

    async def read(self, headers: Iterable[tuple[bytes, bytes]], receive: Receive) -> Any:
        """Return the parsed body, or None if it is optional and missing.

        A CSV file is stored on disk; it is parsed and checked when the result is iterated.

        Raises:
            Problem: `unsupported_media_type`, `payload_too_large` or `malformed_request`.
            ClientDisconnectedError: the client closed the connection.
        """
        content_type, length = _content_headers(headers)
        schema = self._schema_for(content_type) if content_type else None
        if length is not None and length > self.max_bytes:
            raise self._too_large()
        if isinstance(schema, CsvPlan):
            file = SpooledTemporaryFile(max_size=_MAX_MEMORY_BYTES)  # noqa: SIM115  # `rows` closes it
            rows = schema.rows(cast(BinaryIO, file))
            await self._receive(receive, file.write)
            return rows
        chunks: list[bytes] = []
        await self._receive(receive, chunks.append)
        body = b"".join(chunks)
        if not body:
            if self._required:
                raise _malformed([Violation((), "required", "is required")])
            return None
        if schema is None:
            raise self._unsupported("The request has a body but no Content-Type.")
        if self._is_raw:
            return body
        document = parse(body)
        if not schema.accepts(document):
            raise _malformed(schema.violations(document))
        return document

    def _schema_for(self, content_type: str) -> CompiledSchema | CsvPlan:
        media_type, _, parameters = content_type.partition(";")
        schema = self._schemas.get(media_type.strip().lower())
        if schema is None:
            raise self._unsupported("This operation does not accept the body's media type.")
        # RFC 8259, section 8.1: JSON is UTF-8. A charset that says so is harmless.
        for parameter in parameters.split(";"):
            name, _, value = parameter.strip().partition("=")
            if name.lower() == "charset" and value.strip('" ').lower() not in {"utf-8", "utf8"}:
                raise self._unsupported("The body's charset must be utf-8.")
        return schema

    async def _receive(self, receive: Receive, write: Callable[[bytes], object]) -> None:
        """Pass each chunk of the body to `write`.

        An asynchronous generator would be shorter, but asyncio registers each in a set of weak
        references.
        """
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientDisconnectedError
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > self.max_bytes:
                raise self._too_large()
            write(chunk)
            more = message.get("more_body", False)

    def _too_large(self) -> Problem:
        return Problem(
            "payload_too_large",
            f"The body may have at most {self.max_bytes} bytes.",
            max_bytes=self.max_bytes,
        )

    def _unsupported(self, detail: str) -> Problem:
        return Problem("unsupported_media_type", detail, supported=list(self._schemas))


def parse(body: bytes) -> Any:
    """Return the value of a JSON text; refuse texts that parsers interpret differently.

    Raises:
        Problem: `malformed_request`: the text is not UTF-8 or not JSON; it contains NaN or
            Infinity, an object with a duplicate member, an unpaired surrogate, a number that is
            too long, or nesting that is too deep.
    """
    try:
        text = body.decode()
        document = _DECODER.decode(text)
        if "\\u" in text or text.count("[") + text.count("{") > _MAX_UNCHECKED_BRACKETS:
            # orjson refuses unpaired surrogates, which cannot be encoded as UTF-8 in a response,
            # and nesting deeper than 1024. The limit of Python's parser depends on its version.
            loads(body)
    except UnicodeDecodeError as error:
        raise Problem("malformed_request", "The body is not UTF-8.") from error
    except JSONDecodeError as error:
        too_deep = "depth" in error.msg
        raise _not_json("nested too deeply" if too_deep else "an unpaired surrogate") from error
    except json.JSONDecodeError as error:
        raise _not_json(f"{error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise _not_json("nested too deeply") from error
    except ValueError as error:
        # Python raises a ValueError for an integer of more than 4300 digits.
        reason = str(error) if str(error) in _DECODER_ERRORS else "a number that is too long"
        raise _not_json(reason) from error
    return document


_DUPLICATE_MEMBER = "an object with a duplicate member"
_NOT_FINITE = "NaN or Infinity"
_DECODER_ERRORS = {_DUPLICATE_MEMBER, _NOT_FINITE}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError(_DUPLICATE_MEMBER)
    return members


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError(_NOT_FINITE)


def _finite_float(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _refuse_constant(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite_float
)


def _not_json(reason: str) -> Problem:
    return Problem("malformed_request", f"The body is not valid JSON: {reason}.")


def _malformed(violations: Iterable[Violation]) -> Problem:
    return Problem(
        "malformed_request",
        "The body does not match the contract.",
        errors=[
            {"pointer": _pointer(one.path), "code": one.code, "message": one.message}
            for one in violations
        ],
    )


def _pointer(path: tuple[str | int, ...]) -> str:
    """Return a JSON pointer (RFC 6901) whose tokens are at most 64 characters long."""
    return "".join(f"/{escape(str(part)[:64])}" for part in path)


def _content_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str | None, int | None]:
    """Return the values of Content-Type and Content-Length, None for a missing header."""
    content_type = length = None
    for name, value in headers:
        if name == b"content-type":
            content_type = value.decode("latin-1")
        elif name == b"content-length":
            length = int(value)
    return content_type, length
