"""The last step of Connexion's chain: judge a request, call its handler, write the answer.

Stock Connexion derives all of this from the document again for each request; here it is derived
once, at start.
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

from database.greenlets import aside
from orderly.contract.bodies import BodyPlan, ClientGoneError
from orderly.contract.parameters import ParameterPlan
from orderly.contract.responses import ResponseCheck, is_json
from orderly.contract.streams import Run, send_pieces
from orderly.http.authentication import actor_of, authorize, credential_of

Answer = tuple[Any, int, Mapping[str, str]]


class CompiledOperation:
    """One operation of the document, with all that depends on the document alone made ready."""

    def __init__(
        self,
        operation: AbstractOperation,
        *,
        run: Run,
        max_body_bytes: int,
        validate_responses: bool,
    ) -> None:
        definition = operation._operation  # extensions have no public accessor
        self._handler: Callable[..., Any] = operation.function
        self._is_async = inspect.iscoroutinefunction(self._handler)
        self._run = run
        self._is_secured = bool(operation.security)
        self._is_unsafe = operation.method.upper() not in {"GET", "HEAD", "OPTIONS"}
        self._required_role: str | None = definition.get("x-required-role")
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
        answers_file = any(one and not is_json(one.decode()) for one in self._media_types.values())
        if answers_file or (self._body and self._body.is_file):
            self._handler = aside(self._handler)  # thousands of lines keep a core busy
        self._check = ResponseCheck(operation.responses) if validate_responses else None
        taken = set(inspect.signature(self._handler).parameters)
        self._takes_actor = "actor" in taken
        self._takes_credential = "credential" in taken and self._is_secured
        self._check_signature(operation.operation_id, taken)

    def _check_signature(self, operation_id: str, taken: set[str]) -> None:
        """Refuse to start with a handler that does not take just what its operation gives."""
        given = set(self._parameters.names) | ({"body"} if self._body else set())
        if given != taken - {"actor"} - ({"credential"} if self._is_secured else set()):
            raise TypeError(
                f"{operation_id} takes {sorted(taken)}; its operation gives {sorted(given)}"
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            Problem: the request departs from the contract, or its sender may not make it.
            DomainError: a business rule forbids it.
        """
        headers = scope["headers"]
        # openapi.yaml documents the order of checks. Earlier middleware has checked the path, the
        # method and the credential. The rest: role (403), media type (415), body and parameters.
        if self._is_secured:
            authorize(scope, role=self._required_role, unsafe=self._is_unsafe)
        arguments: dict[str, Any] = {}
        if self._body is not None:
            try:
                arguments["body"] = await self._body.read(headers, receive)
            except ClientGoneError:
                return
        arguments.update(
            self._parameters.read(scope["path_params"], scope["query_string"], headers)
        )
        if self._takes_actor:
            arguments["actor"] = actor_of(scope)
        if self._takes_credential:
            arguments["credential"] = credential_of(scope)
        answer, status, extra_headers = await self._call(arguments)
        await self._send(answer, status, extra_headers, receive, send)

    async def _call(self, arguments: dict[str, Any]) -> Answer:
        answer: Answer
        if self._is_async:
            answer = await self._handler(**arguments)
        else:
            answer = await self._run(partial(self._handler, **arguments))
        return answer

    async def _send(
        self,
        answer: Any,
        status: int,
        extra_headers: Mapping[str, str],
        receive: Receive,
        send: Send,
    ) -> None:
        media_type = self._media_types[status]
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in _header_fields(extra_headers)
        ]
        if self._is_secured and "Cache-Control" not in extra_headers:
            # One person's answer, by cookie too: for nobody else's cache (RFC 9111, section 5.2.2).
            headers.append((b"cache-control", b"private, no-cache"))
        if self._check is not None:
            self._check(answer, status, headers)
        if media_type and not is_json(media_type.decode()):
            headers.append((b"content-type", media_type))
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send_pieces(answer, run=self._run, receive=receive, send=send)
            return
        body = b""
        if media_type and status != HTTPStatus.NOT_MODIFIED:
            body = orjson.dumps(answer)
            headers.append((b"content-type", media_type))
        if status not in _WITHOUT_LENGTH:
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


# RFC 9110, section 8.6: no Content-Length with 204, and none with 304 unless it is the 200's.
_WITHOUT_LENGTH = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


def _header_fields(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Spread a header that is given several times (Set-Cookie) into its fields."""
    fields: list[tuple[str, str]] = []
    for name, value in headers.items():
        fields.extend((name, one) for one in ([value] if isinstance(value, str) else value))
    return fields


async def in_a_thread(function: Callable[[], Any]) -> Any:
    """Run a handler in a thread, where it may wait as it likes."""
    return await asyncio.get_running_loop().run_in_executor(None, copy_context().run, function)


class CompiledAPI(RoutedAPI):
    """Compiles each operation of a document at start."""

    def __init__(
        self,
        specification: Any,
        *,
        run: Run = in_a_thread,
        max_body_bytes: int = 1 << 20,
        validate_responses: bool = False,
        **kwargs: Any,
    ) -> None:
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
    """Connexion's own application, with compiled operations instead of decorated functions."""

    api_cls = CompiledAPI

    def __init__(self, beside: ASGIApp) -> None:
        super().__init__()
        self.app = beside  # takes what routing left unrouted

    def add_api(self, *args: Any, **kwargs: Any) -> CompiledAPI:
        """Compile a document's operations."""
        # AsyncASGIApp would also mount a router that nothing reaches: routing is done by then.
        api: CompiledAPI = super(AsyncASGIApp, self).add_api(*args, **kwargs)
        return api
