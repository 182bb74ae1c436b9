"""The contract that a server is verified against: operations, statuses, error codes and links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple

from connexion.spec import Specification

from orderly.contract.document import operations

Node = Mapping[str, Any]

# No request can cause these errors, so they are not counted.
SERVER_ERRORS: Final = {"500", "503"}


class OperationStatus(NamedTuple):
    """A response status that an operation documents."""

    operation_id: str
    status: str

    @property
    def is_success(self) -> bool:
        """Whether it is 2xx."""
        return self.status < "300"

    def __str__(self) -> str:
        return f"{self.operation_id} {self.status}"


class ErrorCode(NamedTuple):
    """A code that an error response of an operation can carry."""

    operation_id: str
    status: str
    code: str

    @property
    def is_of_server(self) -> bool:
        """Whether it is an error that no request can cause."""
        return self.status in SERVER_ERRORS

    def __str__(self) -> str:
        return f"{self.operation_id} {self.status} {self.code}"


class Link(NamedTuple):
    """A link of the contract, from a response to a request (OpenAPI 3.0, section 4.7.20)."""

    operation_id: str
    status: str
    name: str

    def __str__(self) -> str:
        return f"{self.operation_id} {self.status} -> {self.name}"


class Contract:
    """An OpenAPI document with the request bodies of its links, as `document.load` returns it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document: Final = document
        # Connexion resolves the references of its argument in place: pass a copy.
        self.resolved: Final[Node] = Specification.load(_copy(document)).spec

    @cached_property
    def operations(self) -> Mapping[str, Node]:
        """Each operation by its operationId, with its method, its path and all parameters."""
        return dict(self._operations())

    @cached_property
    def examples(self) -> Mapping[str, Any]:
        """The value of each example in `components`, by its name."""
        examples = self.document["components"]["examples"]
        return {name: example["value"] for name, example in examples.items()}

    def responses(self) -> Iterator[tuple[OperationStatus, Node]]:
        """Yield each response of each operation, except errors of the server."""
        for operation_id, operation in self.operations.items():
            for status, response in operation["responses"].items():
                if status not in SERVER_ERRORS:
                    yield OperationStatus(operation_id, status), response

    def statuses(self) -> Iterator[OperationStatus]:
        """Yield each status of each operation, except errors of the server."""
        for status, _ in self.responses():
            yield status

    def codes(self) -> Iterator[ErrorCode]:
        """Yield each code of each operation and status, except errors of the server."""
        for status, response in self.responses():
            content = response.get("content", {})
            if "application/problem+json" in content:
                schema = content["application/problem+json"]["schema"]
                yield from (ErrorCode(*status, code) for code in sorted(codes_in(schema)))

    def links(self) -> Iterator[tuple[Link, Node]]:
        """Yield each link with its Link Object."""
        for operation_id, operation in self.operations.items():
            for status, response in operation["responses"].items():
                for name, link_object in response.get("links", {}).items():
                    yield Link(operation_id, status, name), link_object

    def security_of(self, operation: Node) -> list[Node]:
        """Return the alternatives of credentials of an operation; none if it needs none."""
        security: list[Node] = operation.get("security", self.document["security"])
        return security

    def _operations(self) -> Iterator[tuple[str, Node]]:
        for path, method, operation in operations(self.resolved):
            parameters = [
                *self.resolved["paths"][path].get("parameters", []),
                *operation.get("parameters", []),
            ]
            yield (
                operation["operationId"],
                {**operation, "parameters": parameters, "method": method, "path": path},
            )


def codes_in(schema: Node) -> set[str]:
    """Return the codes that the schema of an error response allows."""
    return {
        code
        for alternative in schema.get("oneOf", [schema])
        for code in alternative["properties"]["code"]["enum"]
    }


def _copy(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _copy(value) for key, value in node.items()}
    return [_copy(item) for item in node] if isinstance(node, list) else node
