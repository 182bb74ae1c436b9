"""Checks of objects: other customers cannot use them, and their entity tags change with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http import HTTPStatus

from orderly.verification.checks import Found
from orderly.verification.client import ExampleClient
from orderly.verification.contract import Contract, Node
from orderly.verification.requests import Request, Violation

_MUTATING = ("patch", "put", "post", "delete")


def objects_of_others(contract: Contract) -> Found:
    """Yield checks that operations with an id respond 404 to other customers (BOLA)."""
    for operation_id, operation in _of_customers(contract):
        if any(parameter["in"] == "path" for parameter in operation["parameters"]):
            yield operation_id, operation_id, partial(_is_hidden, operation_id=operation_id)


def _is_hidden(client: ExampleClient, *, operation_id: str) -> None:
    request = client.prepare(operation_id)
    # Read before: the owner's request may end the session.
    response = client.send(replace(request, session=client.sign_in_another()))
    if response.status_code != HTTPStatus.NOT_FOUND:
        raise Violation(
            f"{operation_id}: another customer gets {response.status_code} instead of 404:"
            f" {response.text[:500]}"
        )
    # The same request of the owner succeeds, so the object exists and was not changed.
    client.send_successfully(request)


def lists_of_others(contract: Contract) -> Found:
    """Yield checks that responses without an id in the request show no object of others."""
    for operation_id, operation in _of_customers(contract):
        has_ids = any(parameter["in"] == "path" for parameter in operation["parameters"])
        if operation["method"] == "get" and not has_ids:
            yield operation_id, operation_id, partial(_shows_own, operation_id=operation_id)


def _shows_own(client: ExampleClient, *, operation_id: str) -> None:
    owner = client.sign_in_ada()
    secret_ids = {client.create_order(owner)["id"], owner.user_id, owner.session_id}
    request = client.prepare(operation_id)
    request.session = client.sign_in_another()
    response = client.send_successfully(request)
    if shown := sorted(one for one in secret_ids if one in response.text):
        raise Violation(f"{operation_id} shows another customer's objects: {', '.join(shown)}")


def entity_tags(contract: Contract) -> Found:
    """Yield checks that a change needs the current entity tag, and changes it."""
    for operation_id, operation in contract.operations.items():
        names = {parameter["name"] for parameter in operation["parameters"]}
        reading = _reading(contract, operation)
        if "If-Match" in names and operation["method"] in _MUTATING and reading:
            run = partial(_changes_tag, operation_id=operation_id, reading=reading)
            yield operation_id, operation_id, run


def _changes_tag(client: ExampleClient, *, operation_id: str, reading: str) -> None:
    request = client.prepare(operation_id)
    read = Request(client.contract, reading, request.session, path=dict(request.path))
    old, before = _read(client, read)
    if before is not None:
        request.headers["If-Match"] = before
    changed = client.send_successfully(request)
    new, after = _read(client, read)
    if before is None or after is None or old == new:
        return  # an archived product cannot be read, and one that is not is not restored
    if after == before:
        raise Violation(f"{operation_id} changes the object, but not its ETag {before}")
    sent = changed.headers.get("ETag", after)
    if sent != after:
        raise Violation(f"{operation_id} sends the ETag {sent}, and {reading} sends {after}")
    read.headers["If-None-Match"] = before
    response = client.send(read)
    if response.status_code != HTTPStatus.OK:
        raise Violation(
            f"{reading} with the ETag from before the change: {response.status_code} instead of 200"
        )
    response = client.send(request)
    if response.status_code != HTTPStatus.PRECONDITION_FAILED:
        raise Violation(
            f"{operation_id} with an outdated ETag: {response.status_code} instead of 412:"
            f" {response.text[:500]}"
        )


def _read(client: ExampleClient, read: Request) -> tuple[bytes, str | None]:
    """Return an object and its entity tag; None if the object cannot be read."""
    response = client.send(read)
    if response.status_code == HTTPStatus.NOT_FOUND:
        return response.content, None
    tag = response.headers.get("ETag")
    if not tag:
        raise Violation(f"{read.operation_id} sends no ETag")
    return response.content, tag


def _reading(contract: Contract, operation: Node) -> str | None:
    """Return the operation that reads the object which an operation changes."""
    path = str(operation["path"])
    while path:
        for operation_id, other in contract.operations.items():
            if other["path"] == path and other["method"] == "get":
                headers = other["responses"].get("200", {}).get("headers", {})
                return operation_id if "ETag" in headers else None
        path = path.rpartition("/")[0]
    return None


def _of_customers(contract: Contract) -> Iterator[tuple[str, Node]]:
    """Yield the operations that need credentials, but no role."""
    for operation_id, operation in contract.operations.items():
        is_public = {} in contract.security_of(operation) or not contract.security_of(operation)
        has_bearer = {"bearerAuth": []} in contract.security_of(operation)
        if has_bearer and not is_public and "x-required-role" not in operation:
            yield operation_id, operation
