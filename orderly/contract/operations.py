"""An operation of the document, compiled: check a request, call the handler, send the response.

Connexion itself builds validators and decorators from the document for each request. Here they are
built once, at start.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from connexion.operations import AbstractOperation
from starlette.types import Receive, Scope, Send

from database.greenlets import run_in_thread
from domain.errors import DomainError
from handlers.responses import Response, to_json
from orderly.contract.bodies import BodyPlan, ClientDisconnectedError
from orderly.contract.load import load_of
from orderly.contract.parameters import ParameterPlan
from orderly.contract.responses import ResponseCheck, is_json
from orderly.contract.streams import send_chunks
from orderly.http.authentication import (
    actor_of,
    authorize,
    credential_of,
    is_by_cookie,
    refresh_cookie_of,
)
from orderly.http.compression import (
    CONTENT_ENCODING,
    VARY,
    Encoding,
    accept_encoding_of,
    accepts_gzip,
    compressed_chunks,
)
from orderly.http.problems import Problem
from orderly.http.refusals import log_refusal
from orderly.http.slots import Client, Slots

# A handler with a parameter of one of these names gets this value, computed from the ASGI scope.
# The handler's other parameters are those of its operation, and `body`.
_SCOPE_VALUES: Mapping[str, Callable[[Scope], Any]] = {
    "actor": actor_of,
    "by_cookie": is_by_cookie,
    "credential": credential_of,
    "headers": lambda scope: {
        name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
    },
    "refresh_cookie": refresh_cookie_of,
    "scope": lambda scope: scope,
}


# The statuses whose responses depend on `Accept-Encoding`.
_NEGOTIATED = {HTTPStatus.OK, HTTPStatus.NOT_MODIFIED}
# RFC 9110, section 8.6: 204 has no Content-Length, and 304 may only have that of the 200 response.
_WITHOUT_CONTENT_LENGTH = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


class CompiledOperation:
    """One operation: its validators, its parameters and its handler."""

    def __init__(
        self,
        operation: AbstractOperation,
        *,
        slots: Slots,
        validate_responses: bool,
    ) -> None:
        self._slots = slots
        self._load = load_of(operation)
        self._is_secured = bool(operation.security)
        # Unsafe methods (RFC 9110, section 9.2.1), and downloads: a link on another website could
        # make the browser save a file with private data.
        self._is_same_origin_only = self._load.is_write or any(
            "Content-Disposition" in response.get("headers", {})
            for response in operation.responses.values()
        )
        # `_operation` is the operation's object in the document. Connexion 3.3 has no public
        # accessor for its extensions (x-...).
        self._required_role: str | None = operation._operation.get("x-required-role")
        self._is_compressible: bool = operation._operation.get("x-compressed", False)
        self._parameters = ParameterPlan(operation.parameters)
        self._body = BodyPlan(operation.request_body) if operation.request_body else None
        self._media_types = {
            int(status): next(iter(response.get("content", {})), "").encode()
            for status, response in operation.responses.items()
        }
        self._check_response = ResponseCheck(operation.responses) if validate_responses else None
        self._handler: Callable[..., Any] = operation.function
        self._is_async = inspect.iscoroutinefunction(self._handler)
        self._scope_values = self._bind_handler(operation.operation_id)
        if not self._is_async and self._handles_files():
            # Parsing or formatting thousands of lines is CPU-bound: keep it off the event loop.
            self._handler = run_in_thread(self._handler)

    def _bind_handler(self, operation_id: str) -> tuple[tuple[str, Callable[[Scope], Any]], ...]:
        """Return the handler's parameters that are computed from the scope, with their functions.

        Raises:
            TypeError: the handler's other parameters are not those of the operation.
        """
        parameters = inspect.signature(self._handler).parameters
        from_scope = parameters.keys() & _SCOPE_VALUES.keys()
        if not self._is_secured:
            from_scope -= {"by_cookie", "credential"}
        provided = set(self._parameters.names) | ({"body"} if self._body else set())
        has_kwargs = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
        if not has_kwargs and provided != parameters.keys() - from_scope:
            raise TypeError(
                f"{operation_id}: the handler takes {sorted(parameters)},"
                f" but the operation provides {sorted(provided)}"
            )
        return tuple((name, _SCOPE_VALUES[name]) for name in sorted(from_scope))

    def _handles_files(self) -> bool:
        """Return whether the request or a response has a body that is not JSON."""
        return bool(self._body and self._body.is_file) or any(
            media_type and not is_json(media_type.decode())
            for media_type in self._media_types.values()
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, which earlier middleware has routed and authenticated.

        The checks run in the order that openapi.yaml documents: cross-site request and role (403),
        body (415, 413, 400), parameters (400). So the server never reads a body that the caller may
        not send.

        Raises:
            Problem: the request violates the contract, or the caller lacks permission.
            DomainError: a business rule forbids it.
        """
        try:
            await self._handle(scope, receive, send)
        except (Problem, DomainError) as error:
            await log_refusal(scope, error, self._run_without_client)
            raise

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_secured:
            authorize(scope, role=self._required_role, same_origin_only=self._is_same_origin_only)
        headers = scope["headers"]
        arguments: dict[str, Any] = {}
        if self._body is not None:
            try:
                arguments["body"] = await self._body.read(headers, receive)
            except ClientDisconnectedError:
                return
        arguments.update(
            self._parameters.read(scope["path_params"], scope["query_string"], headers)
        )
        for name, compute in self._scope_values:
            arguments[name] = compute(scope)
        encoding = None
        if self._is_compressible:
            is_gzip = accepts_gzip(accept_encoding_of(headers))
            # The handler only knows the entity tag of the body that is not compressed.
            tags = arguments.pop("if_none_match", None) if is_gzip else None
            encoding = Encoding(is_gzip, tags)
        response: Response
        if self._is_async:
            response = await self._handler(**arguments)
        else:
            function = partial(self._handler, **arguments)
            client: Client | None = scope["orderly"].get("client")
            response = await self._slots.run(function, self._load, client)
        await self._send(response, encoding, receive, send)

    async def _run_without_client(self, function: Callable[[], Any]) -> Any:
        """Run a function for a request that has begun, however long it waits for a slot."""
        return await self._slots.run(function, self._load, None)

    async def _send(
        self, response: Response, encoding: Encoding | None, receive: Receive, send: Send
    ) -> None:
        content, status, extra_headers = response
        media_type = self._media_types[status]
        headers = _asgi_headers(extra_headers)
        if self._is_secured and "Cache-Control" not in extra_headers:
            # `private`: a shared cache must not store the response of one user. Without it, only
            # an Authorization header prevents that, but a cookie does not (RFC 9111, 3.5).
            headers.append((b"cache-control", b"private, no-cache"))
        if self._check_response is not None:
            self._check_response(content, status, headers)
        if status not in _NEGOTIATED:
            encoding = None  # for example the error that the mock was asked for
        if encoding is not None:
            headers.append(VARY)
        if isinstance(content, Iterator):
            if encoding is not None and encoding.is_gzip:
                content = compressed_chunks(content)
                headers.append(CONTENT_ENCODING)
            headers.append((b"content-type", _with_charset(media_type)))
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send_chunks(content, run=self._run_without_client, receive=receive, send=send)
            return
        body = b""
        if media_type and status != HTTPStatus.NOT_MODIFIED:
            body = to_json(content)
            headers.append((b"content-type", media_type))
            if encoding is not None:
                status, headers, body = await encoding.encode(headers, body)
        if status not in _WITHOUT_CONTENT_LENGTH:
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _asgi_headers(headers: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """Return headers in the form of ASGI. A list of values (Set-Cookie) becomes several pairs."""
    fields: list[tuple[bytes, bytes]] = []
    for name, value in headers.items():
        key = name.lower().encode("latin-1")
        if isinstance(value, str):
            fields.append((key, value.encode("latin-1")))
        else:
            fields.extend((key, one.encode("latin-1")) for one in value)
    return fields


def _with_charset(media_type: bytes) -> bytes:
    """Add the encoding to a text type: the contract has the type alone, which more tools accept."""
    return media_type + b"; charset=utf-8" if media_type.startswith(b"text/") else media_type
