"""Routing by a tree of path segments, which is built from the document at start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connexion.middleware.abstract import ROUTING_CONTEXT, AbstractRoutingAPI
from connexion.middleware.routing import RoutingMiddleware
from connexion.operations import AbstractOperation
from starlette.types import ASGIApp, Receive, Scope, Send

from orderly.contract.deprecation import Headers, deprecation_headers
from orderly.contract.load import load_of
from orderly.http.problems import Problem
from orderly.http.security_headers import API_POLICY
from orderly.http.slots import Load


class _Node:
    """The segments that can follow a path, and the operations at this path by method."""

    __slots__ = ("literals", "methods", "variable")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.variable: _Node | None = None
        # Method -> (operation id, names of the path parameters).
        self.methods: dict[str, tuple[str, tuple[str, ...]]] = {}

    def child(self, segment: str) -> _Node:
        if segment.startswith("{"):
            self.variable = self.variable or _Node()
            return self.variable
        return self.literals.setdefault(segment, _Node())


class RouteTree:
    """Finds the operation of a method and a path, in time linear in the number of segments."""

    def __init__(self) -> None:
        self._root = _Node()
        # Operation id -> headers of all its responses, if they differ from the default.
        self.headers: dict[str, Headers] = {}
        # Operation id -> how the operation is treated under load.
        self.loads: dict[str, Load] = {}

    def add(self, method: str, path: str, operation_id: str) -> None:
        """Add an operation under its path template, such as `/orders/{order_id}`."""
        node = self._root
        names = []
        for segment in path.strip("/").split("/"):
            node = node.child(segment)
            if segment.startswith("{"):
                names.append(segment[1:-1])
        node.methods[method.upper()] = (operation_id, tuple(names))

    def find(self, method: str, path: str) -> tuple[str, Mapping[str, str]]:
        """Return the operation's id and the texts of its path parameters by name.

        A literal segment takes precedence over a parameter.

        Raises:
            Problem: `not_found`, or `method_not_allowed` with all methods of the path in `Allow`
                (RFC 9110, section 15.5.6).
        """
        node = self._root
        values = []
        for segment in path[1:].split("/"):
            child = node.literals.get(segment)
            if child is None:
                child = node.variable
                if child is None or not segment:
                    raise not_found()
                values.append(segment)
            node = child
        if not node.methods:
            raise not_found()
        found = node.methods.get(method)
        if found is None:
            allowed = ", ".join(sorted(node.methods))
            raise Problem(
                "method_not_allowed",
                f"This path supports only {allowed}.",
                headers={"Allow": allowed},
            )
        operation_id, names = found
        return operation_id, dict(zip(names, values, strict=True))


def not_found() -> Problem:
    """Return the problem for an unknown path."""
    return Problem("not_found", "There is nothing at this path.")


class _RouteTreeAPI(AbstractRoutingAPI):
    """Adds the operations of a document to a tree; Connexion iterates over them."""

    def __init__(self, specification: Any, *, tree: RouteTree, **kwargs: Any) -> None:
        self._tree = tree
        super().__init__(specification, **kwargs)

    def make_operation(self, operation: AbstractOperation) -> str:
        operation_id: str = operation.operation_id
        # Connexion has no public accessor for extensions (x-...).
        if headers := deprecation_headers(operation._operation):
            self._tree.headers[operation_id] = (*API_POLICY, *headers)
        self._tree.loads[operation_id] = load_of(operation)
        return operation_id

    @staticmethod
    def _framework_path_and_name(_operation: AbstractOperation, path: str) -> tuple[str, str]:
        return path, path

    def _add_operation_internal(self, method: str, path: str, operation: str, **_: object) -> None:
        self._tree.add(method, path, operation)


class CompiledRoutingMiddleware(RoutingMiddleware):
    """Connexion's routing middleware: stores the operation in the scope for later middlewares.

    Connexion's own routing tries one regular expression after another, lists only the methods of
    the first match in `Allow`, and redirects a path with a trailing slash. Here it is unknown: 404.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app)
        self._trees: dict[str, RouteTree] = {}

    def add_api(self, specification: Any, base_path: str | None = None, **kwargs: Any) -> None:
        """Register the operations of a document under its base path."""
        tree = RouteTree()
        api = _RouteTreeAPI(
            specification,
            tree=tree,
            base_path=base_path,
            **{key: value for key, value in kwargs.items() if key in _ROUTING_OPTIONS},
        )
        self._trees[api.base_path] = tree

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route a request; pass on a request outside all base paths without an operation."""
        if scope["type"] == "http":
            path: str = scope["path"]
            routing: dict[str, str | None] = {"operation_id": None}
            for base_path, tree in self._trees.items():
                if path.startswith(base_path) and path[len(base_path) :][:1] == "/":
                    operation_id, values = tree.find(scope["method"], path[len(base_path) :])
                    scope["path_params"] = values
                    routing = {"api_base_path": base_path, "operation_id": operation_id}
                    request_facts = scope["orderly"]
                    name = operation_id.rpartition(".")[2]
                    request_facts["operation_id"] = request_facts["database"].operation = name
                    request_facts["load"] = tree.loads[operation_id]
                    if headers := tree.headers.get(operation_id):
                        request_facts["headers"] = headers
                    break
            scope.setdefault("extensions", {})[ROUTING_CONTEXT] = routing
        await self.app(scope, receive, send)


_ROUTING_OPTIONS = {"resolver", "resolver_error_handler", "pythonic_params", "uri_parser_class"}
