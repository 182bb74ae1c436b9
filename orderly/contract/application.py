"""The application at the end of Connexion's middleware chain, with operations compiled at start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import partial
from typing import Any

from connexion.apps.asynchronous import AsyncASGIApp
from connexion.middleware.abstract import RoutedAPI
from connexion.middleware.security import SecurityOperation
from connexion.operations import AbstractOperation
from connexion.security import SecurityHandlerFactory
from connexion.spec import OpenAPISpecification
from starlette.types import ASGIApp

from orderly.contract.operations import CompiledOperation
from orderly.http.slots import Slots

_UNLIMITED = 1 << 30


async def run_in_default_executor(function: Callable[[], Any]) -> Any:
    """Run a function in a thread of the event loop's default executor."""
    return await asyncio.get_running_loop().run_in_executor(None, copy_context().run, function)


@contextmanager
def without_document_validation() -> Iterator[None]:
    """Skip Connexion's validation of documents in this block.

    Validating the contract takes a sixth of the time of a start. The contract is a part of this
    package, and its tests validate it.
    """
    OpenAPISpecification._validate_spec = classmethod(lambda _class, _document: None)
    try:
        yield
    finally:
        with suppress(AttributeError):  # another thread has done it
            del OpenAPISpecification._validate_spec  # the method of its base class applies again


class CompiledAPI(RoutedAPI):
    """The compiled operations of one document.

    `RoutedAPI.add_paths` calls `make_operation` for each operation. `RoutedMiddleware.__call__`
    then calls the operation whose id the routing middleware has stored in the scope.
    """

    def __init__(
        self,
        specification: Any,
        *,
        security_map: Mapping[str, Any],
        slots: Slots | None = None,
        validate_responses: bool = False,
        **kwargs: Any,
    ) -> None:
        # Connexion passes the options of all middleware to each of them: keep those of RoutedAPI.
        known = {key: kwargs[key] for key in ("next_app", "base_path", "resolver") if key in kwargs}
        super().__init__(specification, **known)
        self._compile = partial(
            CompiledOperation,
            slots=slots or Slots(run_in_default_executor, _UNLIMITED, target=1),
            validate_responses=validate_responses,
        )
        self._security = SecurityHandlerFactory(security_map)
        self.add_paths()

    def make_operation(self, operation: AbstractOperation) -> ASGIApp:
        """Compile one operation; Connexion authenticates its requests if the contract says so.

        Connexion's own middleware for this would look up the operation of each request again.
        """
        compiled = self._compile(operation)
        if not operation.security:
            return compiled
        authenticated: ASGIApp = SecurityOperation.from_operation(
            operation, next_app=compiled, security_handler_factory=self._security
        )
        return authenticated


class CompiledApp(AsyncASGIApp):
    """Connexion's application, with compiled operations instead of decorated functions.

    `other_routes` handles the requests outside the base path of the API.
    """

    api_cls = CompiledAPI

    def __init__(self, other_routes: ASGIApp) -> None:
        super().__init__()
        self.app = other_routes  # RoutedMiddleware calls `app` if the scope has no operation

    def add_api(self, *args: Any, **kwargs: Any) -> CompiledAPI:
        """Compile the operations of a document."""
        # Skip AsyncASGIApp.add_api, which would also mount a Starlette router: the requests are
        # routed by CompiledRoutingMiddleware before they arrive here.
        api: CompiledAPI = super(AsyncASGIApp, self).add_api(*args, **kwargs)
        return api
