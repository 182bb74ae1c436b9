"""The last part of Connexion's middleware chain: check a request, call its handler, respond.

Stock Connexion derives what an operation needs from the document for each request. Here it is
derived once, at start.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from contextvars import copy_context
from functools import partial
from http import HTTPStatus
from typing import Any

import orjson
from connexion.apps.asynchronous import AsyncASGIApp
from connexion.middleware.abstract import RoutedAPI
from connexion.operations import AbstractOperation
from starlette.types import ASGIApp, Receive, Scope, Send

from database.greenlets import run_in_thread
from handlers.responses import Response
from orderly.contract.bodies import BodyPlan, ClientDisconnectedError
from orderly.contract.parameters import ParameterPlan
from orderly.contract.responses import ResponseCheck, is_json
from orderly.contract.streams import Run, send_chunks
from orderly.http.authentication import actor_of, authorize, credential_of

# What a handler can ask for by the name of a parameter, besides the arguments of its operation.
_FROM_SCOPE: Mapping[str, Callable[[Scope], Any]] = {
    "actor": actor_of,
    "credential": credential_of,
    "scope": lambda scope: scope,
}

# RFC 9110, section 8.6: 204 has no Content-Length, and 304 may only have that of the 200 response.
_WITHOUT_CONTENT_LENGTH = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


class CompiledOperation:
    """One operation of the document, with everything precomputed that no request changes."""

    def __init__(
        self,
        operation: AbstractOperation,
        *,
        run: Run,
        max_body_bytes: int,
        validate_responses: bool,
    ) -> None:
        self._run = run
        self._is_secured = bool(operation.security)
        self._is_unsafe = operation.method.upper() not in {"GET", "HEAD", "OPTIONS"}
        # Connexion has no public accessor for extensions (x-...).
        self._required_role: str | None = operation._operation.get("x-required-role")
        self._parameters = ParameterPlan(operation.parameters)
        self._body = (
            BodyPlan(operation.request_body, max_bytes=max_body_bytes)
            if operation.request_body
            else None
        )
        self._media_types = {
            int(status): next(iter(response.get("content", {})), "").encode()
            for status, response in operation.responses.items()
        }
        self._check_response = ResponseCheck(operation.responses) if validate_responses else None
        self._handler: Callable[..., Any] = operation.function
        self._is_async = inspect.iscoroutinefunction(self._handler)
        self._from_scope = self._bind_handler(operation.operation_id)
        if not self._is_async and self._handles_files():
            # Parsing or formatting thousands of lines is CPU-bound: keep it off the event loop.
            self._handler = run_in_thread(self._handler)

    def _bind_handler(self, operation_id: str) -> tuple[tuple[str, Callable[[Scope], Any]], ...]:
        """Return the parameters that the handler wants from the scope.

        Raises:
            TypeError: the handler's other parameters are not those of the operation.
        """
        parameters = inspect.signature(self._handler).parameters
        wanted = parameters.keys() & _FROM_SCOPE.keys()
        if not self._is_secured:
            wanted -= {"credential"}
        accepts_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
        provided = set(self._parameters.names) | ({"body"} if self._body else set())
        if not accepts_any and provided != parameters.keys() - wanted:
            raise TypeError(
                f"{operation_id}: the handler takes {sorted(parameters)},"
                f" the operation provides {sorted(provided)}"
            )
        return tuple((name, _FROM_SCOPE[name]) for name in sorted(wanted))

    def _handles_files(self) -> bool:
        """Return whether the request or a response has a body that is not JSON."""
        return bool(self._body and self._body.is_file) or any(
            media_type and not is_json(media_type.decode())
            for media_type in self._media_types.values()
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request that was routed here and authenticated.

        The checks run in the order that the contract states: cross-site requests and the role
        (403), the body (415, 413, 400), the parameters (400).

        Raises:
            Problem: the request violates the contract, or the caller may not make it.
            DomainError: a business rule forbids it.
        """
        if self._is_secured:
            authorize(scope, role=self._required_role, unsafe=self._is_unsafe)
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
        for name, value_of in self._from_scope:
            arguments[name] = value_of(scope)
        response = await self._call(arguments)
        await self._send(response, receive, send)

    async def _call(self, arguments: dict[str, Any]) -> Response:
        response: Response
        if self._is_async:
            response = await self._handler(**arguments)
        else:
            response = await self._run(partial(self._handler, **arguments))
        return response

    async def _send(self, response: Response, receive: Receive, send: Send) -> None:
        content, status, extra_headers = response
        media_type = self._media_types[status]
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in _header_fields(extra_headers)
        ]
        if self._is_secured and "Cache-Control" not in extra_headers:
            # Cookies select the response too: shared caches must not store it (RFC 9111, 5.2.2.7).
            headers.append((b"cache-control", b"private, no-cache"))
        if self._check_response is not None:
            self._check_response(content, status, headers)
        if media_type and not is_json(media_type.decode()):
            headers.append((b"content-type", media_type))
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send_chunks(content, run=self._run, receive=receive, send=send)
            return
        body = b""
        if media_type and status != HTTPStatus.NOT_MODIFIED:
            body = orjson.dumps(content)
            headers.append((b"content-type", media_type))
        if status not in _WITHOUT_CONTENT_LENGTH:
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _header_fields(headers: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (name, value) pairs: one for each value of a header with several (Set-Cookie)."""
    fields: list[tuple[str, str]] = []
    for name, value in headers.items():
        fields.extend((name, one) for one in ([value] if isinstance(value, str) else value))
    return fields


async def run_in_default_executor(function: Callable[[], Any]) -> Any:
    """Run a handler in a thread of the event loop's default executor."""
    return await asyncio.get_running_loop().run_in_executor(None, copy_context().run, function)


class CompiledAPI(RoutedAPI):
    """Compiles each operation of a document at start."""

    def __init__(
        self,
        specification: Any,
        *,
        run: Run = run_in_default_executor,
        max_body_bytes: int = 1 << 20,
        validate_responses: bool = False,
        **kwargs: Any,
    ) -> None:
        # Connexion passes the options of all middlewares to each of them.
        known = {key: kwargs[key] for key in ("next_app", "base_path", "resolver") if key in kwargs}
        super().__init__(specification, **known)
        self._compile = partial(
            CompiledOperation,
            run=run,
            max_body_bytes=max_body_bytes,
            validate_responses=validate_responses,
        )
        self.add_paths()

    def make_operation(self, operation: AbstractOperation) -> CompiledOperation:
        """Compile one operation."""
        return self._compile(operation)


class CompiledApp(AsyncASGIApp):
    """Connexion's application with compiled operations instead of decorated functions.

    `other_routes` handles the requests outside the base path of the API.
    """

    api_cls = CompiledAPI

    def __init__(self, other_routes: ASGIApp) -> None:
        super().__init__()
        self.app = other_routes  # Connexion calls this for requests without an operation

    def add_api(self, *args: Any, **kwargs: Any) -> CompiledAPI:
        """Compile the operations of a document."""
        # Skip AsyncASGIApp.add_api, which would also mount a router: the requests are routed by
        # CompiledRoutingMiddleware before they arrive here.
        api: CompiledAPI = super(AsyncASGIApp, self).add_api(*args, **kwargs)
        return api
