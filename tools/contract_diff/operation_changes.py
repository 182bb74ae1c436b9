"""Find the changes of one operation: its names, security, parameters, request and responses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from orderly.contract.references import component_name, resolve
from tools.contract_diff.change import Change, Direction, Node
from tools.contract_diff.schema_changes import SchemaComparison

# The server's limit for a request body without `x-max-bytes` is computed from its schemas.
_SIZE_OF_SCHEMAS: Final = "the maximum of its schemas"
_FIRST_ERROR_STATUS: Final = "400"
_NOT_MODIFIED: Final = "304"


class OperationComparison:
    """Compares the operations of two documents."""

    def __init__(self, before: Node, after: Node) -> None:
        self._before, self._after = before, after
        self._schemas = SchemaComparison(before, after)

    def changes(self, old: Node, new: Node, location: str) -> Iterator[Change]:
        """Yield the changes of one operation; `location` is its method and path."""
        yield from _metadata_changes(old, new, location)
        yield from self._security(old, new, location)
        yield from self._parameters(old, new, location)
        yield from self._request_body(old, new, f"{location} body")
        yield from self._responses(old["responses"], new["responses"], location)

    def _security(self, old: Node, new: Node, location: str) -> Iterator[Change]:
        old_alternatives = _security_alternatives(old, self._before)
        new_alternatives = _security_alternatives(new, self._after)
        for schemes in old_alternatives:
            # The old credentials suffice if a new alternative requires the same schemes or fewer.
            if not any(required <= schemes for required in new_alternatives):
                yield Change(location, f"no longer accepts {_credentials(schemes)}", breaking=True)
        for schemes in new_alternatives - old_alternatives:
            yield Change(location, f"accepts {_credentials(schemes)}", breaking=False)

    def _parameters(self, old: Node, new: Node, location: str) -> Iterator[Change]:
        old_parameters = _parameters(old, self._before)
        new_parameters = _parameters(new, self._after)
        for key in old_parameters.keys() - new_parameters.keys():
            # The server rejects undocumented parameters.
            yield Change(f"{location} {_label(key)}", "parameter removed", breaking=True)
        for key in new_parameters.keys() - old_parameters.keys():
            required = bool(new_parameters[key].get("required"))
            message = f"{'required' if required else 'optional'} parameter added"
            yield Change(f"{location} {_label(key)}", message, breaking=required)
        for key in sorted(old_parameters.keys() & new_parameters.keys()):
            yield from self._parameter(
                old_parameters[key], new_parameters[key], f"{location} {_label(key)}"
            )

    def _parameter(self, old: Node, new: Node, location: str) -> Iterator[Change]:
        yield from _required_changes(old, new, location)
        old_format, new_format = _serialization(old), _serialization(new)
        for keyword, value in new_format.items():
            if old_format[keyword] != value:
                message = f"{keyword} changed from {old_format[keyword]} to {value}"
                yield Change(location, message, breaking=True)
        yield from self._schemas.changes(old["schema"], new["schema"], location, Direction.REQUEST)

    def _request_body(self, old: Node, new: Node, location: str) -> Iterator[Change]:
        old_body, new_body = self._resolved(old.get("requestBody"), new.get("requestBody"))
        if not old_body and new_body:
            required = bool(new_body.get("required"))
            message = f"{'required' if required else 'optional'} body added"
            yield Change(location, message, breaking=required)
        elif old_body and not new_body:
            yield Change(location, "body removed", breaking=True)
        elif old_body and new_body:
            yield from _required_changes(old_body, new_body, location)
            yield from _size_changes(old_body, new_body, location)
            yield from self._content(old_body, new_body, location, Direction.REQUEST)

    def _responses(self, old: Node, new: Node, location: str) -> Iterator[Change]:
        for status in old.keys() - new.keys():
            # An error that is no longer returned breaks no client.
            breaking = status < _FIRST_ERROR_STATUS
            yield Change(f"{location} {status}", "status removed", breaking=breaking)
        for status in new.keys() - old.keys():
            # 304 is only returned to clients that send a conditional request.
            breaking = status < _FIRST_ERROR_STATUS and status != _NOT_MODIFIED
            yield Change(f"{location} {status}", "status added", breaking=breaking)
        for status in sorted(old.keys() & new.keys()):
            old_response, new_response = self._resolved(old[status], new[status])
            response_location = f"{location} {status}"
            component = component_name(new[status])
            yield from self._content(
                old_response,
                new_response,
                f"response {component}" if component else response_location,
                Direction.RESPONSE,
            )
            yield from self._headers(old_response, new_response, response_location)

    def _content(
        self, old: Node, new: Node, location: str, direction: Direction
    ) -> Iterator[Change]:
        old_content, new_content = _by_media_type(old), _by_media_type(new)
        for media_type in old_content.keys() - new_content.keys():
            yield Change(location, f"media type {media_type} removed", breaking=True)
        for media_type in new_content.keys() - old_content.keys():
            # Clients need not send the new media type, but they may receive it.
            breaking = direction is Direction.RESPONSE
            yield Change(location, f"media type {media_type} added", breaking=breaking)
        for media_type in sorted(old_content.keys() & new_content.keys()):
            old_body, new_body = old_content[media_type], new_content[media_type]
            body_location = f"{location} {media_type}"
            yield from self._schemas.changes(
                old_body.get("schema", {}), new_body.get("schema", {}), body_location, direction
            )
            if "x-csv-row" in old_body and "x-csv-row" in new_body:
                yield from self._schemas.changes(
                    old_body["x-csv-row"], new_body["x-csv-row"], f"{body_location} row", direction
                )

    def _headers(self, old: Node, new: Node, location: str) -> Iterator[Change]:
        old_headers, new_headers = (
            {name.lower(): header for name, header in response.get("headers", {}).items()}
            for response in (old, new)
        )
        for name in old_headers.keys() - new_headers.keys():
            yield Change(f"{location} {name}", "header removed", breaking=True)
        for name in new_headers.keys() - old_headers.keys():
            yield Change(f"{location} {name}", "header added", breaking=False)
        for name in sorted(old_headers.keys() & new_headers.keys()):
            old_header, new_header = self._resolved(old_headers[name], new_headers[name])
            component = component_name(new_headers[name])
            header_location = f"header {component}" if component else f"{location} {name}"
            required = bool(new_header.get("required"))
            if required != bool(old_header.get("required")):
                message = "is now always present" if required else "may be missing"
                yield Change(header_location, message, breaking=not required)
            yield from self._schemas.changes(
                old_header["schema"], new_header["schema"], header_location, Direction.RESPONSE
            )

    def _resolved(self, old: Any, new: Any) -> tuple[Node, Node]:
        return resolve(self._before, old) or {}, resolve(self._after, new) or {}


def _metadata_changes(old: Node, new: Node, location: str) -> Iterator[Change]:
    """Compare the operationId, the first tag, the deprecation and the required role."""
    # Generated clients name a function after the operationId, and its module after the first tag.
    names = (
        ("operationId", old.get("operationId"), new.get("operationId")),
        ("first tag", _first_tag(old), _first_tag(new)),
    )
    for name, old_value, new_value in names:
        if old_value != new_value:
            message = f"{name} changed from {old_value} to {new_value}"
            yield Change(location, message, breaking=True)
    deprecated = new.get("deprecated", False)
    if deprecated != old.get("deprecated", False):
        message = "is deprecated" if deprecated else "is no longer deprecated"
        yield Change(location, message, breaking=False)
    role = new.get("x-required-role")
    if role != old.get("x-required-role"):
        message = f"requires the role {role}" if role else "no longer requires a role"
        yield Change(location, message, breaking=role is not None)


def _first_tag(operation: Node) -> str | None:
    return next(iter(operation.get("tags", ())), None)


def _required_changes(old: Node, new: Node, location: str) -> Iterator[Change]:
    """Compare whether clients must send a parameter or a body."""
    required = bool(new.get("required"))
    if required != bool(old.get("required")):
        message = f"is now {'required' if required else 'optional'}"
        yield Change(location, message, breaking=required)


def _security_alternatives(operation: Node, document: Node) -> set[frozenset[str]]:
    """Return the sets of security schemes that an operation accepts.

    A client needs credentials for all schemes of one set. The empty set needs no credentials.
    """
    requirements = operation.get("security", document.get("security")) or [{}]
    return {frozenset(requirement) for requirement in requirements}


def _credentials(schemes: frozenset[str]) -> str:
    return " and ".join(sorted(schemes)) or "requests without credentials"


def _parameters(operation: Node, document: Node) -> dict[tuple[str, str], Node]:
    resolved = [resolve(document, parameter) for parameter in operation["parameters"]]
    return {(parameter["in"], parameter["name"]): parameter for parameter in resolved}


def _size_changes(old_body: Node, new_body: Node, location: str) -> Iterator[Change]:
    old, new = old_body.get("x-max-bytes"), new_body.get("x-max-bytes")
    if old != new:
        is_larger = old is not None and new is not None and new > old
        names = [f"{size} bytes" if size else _SIZE_OF_SCHEMAS for size in (old, new)]
        message = f"maximum size changed from {names[0]} to {names[1]}"
        yield Change(location, message, breaking=not is_larger)


def _label(key: tuple[str, str]) -> str:
    parameter_in, name = key
    return f"{parameter_in} parameter {name}"


def _serialization(parameter: Node) -> Node:
    """Return `style` and `explode` of a parameter, with the defaults of OpenAPI 3.0, 4.7.12.2."""
    style = parameter.get("style", "form" if parameter["in"] in {"query", "cookie"} else "simple")
    return {"style": style, "explode": parameter.get("explode", style == "form")}


def _by_media_type(body: Node) -> Node:
    """Return the content by media type, without parameters such as `charset`."""
    return {key.partition(";")[0]: content for key, content in body.get("content", {}).items()}
