"""docs/examples/orderly.http has a request for each operation, and all requests succeed."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.support.contract import operations
from tests.support.processes import Server, run_server

BASE = "/api/v1"
# Only a payment provider can sign its requests, and only a mail has the token of a user.
WITHOUT_REQUEST = {
    *("receive_payment_notification", "confirm_password_reset", "confirm_email_verification"),
}


class Request(NamedTuple):
    """One request of the file, before its variables are replaced."""

    name: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(
        tmp_path_factory.mktemp("collection") / "data",
        "--demo",
        ORDERLY_VALIDATE_RESPONSES="true",
        ORDERLY_MANUAL_PAYMENT_EXPIRY_MINUTES="10080",
    ) as server:
        yield server


@pytest.fixture(scope="module")
def text(repository: Path) -> str:
    return (repository / "docs" / "examples" / "orderly.http").read_text()


def requests(text: str) -> Iterator[Request]:
    """Parse a file in the format of Visual Studio Code's REST Client."""
    for block in re.split(r"^###.*\n", text, flags=re.MULTILINE)[1:]:
        (name,) = re.findall(r"^# @name (\w+)$", block, re.MULTILINE)
        head, _, body = re.sub(r"^#.*\n", "", block, flags=re.MULTILINE).strip().partition("\n\n")
        line, *fields = head.splitlines()
        method, url = line.split(" ", 1)
        headers = tuple(tuple(field.split(": ", 1)) for field in fields)
        yield Request(name, method, url, headers, body)  # type: ignore[arg-type]


def operation_of(request: Request) -> str | None:
    """Return the operationId for a request, or None if no operation matches.

    A path parameter matches a variable only, so /users/me does not match /users/{user_id}.
    """
    path = request.url.removeprefix("{{shop}}").partition("?")[0]
    for operation_id, operation in operations():
        if operation["method"].upper() == request.method and matches(operation["path"], path):
            return operation_id
    return None


def matches(template: str, path: str) -> bool:
    pairs = zip_longest(template.split("/"), path.split("/"), fillvalue="")
    return all("{{" in part if name.startswith("{") else name == part for name, part in pairs)


class Variables:
    """Replaces `{{...}}` as the REST Client does, from file variables and earlier responses."""

    def __init__(self, file_variables: Mapping[str, str]) -> None:
        self._file_variables = file_variables
        self._responses: dict[str, httpx2.Response] = {}

    def add_response(self, name: str, response: httpx2.Response) -> None:
        self._responses[name] = response

    def replace(self, text: str) -> str:
        return re.sub(r"\{\{([^}]+)\}\}", lambda match: self._value(match[1]), text)

    def _value(self, variable: str) -> str:
        if variable == "$guid":
            return str(uuid.uuid4())
        if variable == "$timestamp":
            return str(int(time.time()))
        if variable in self._file_variables:
            return self._file_variables[variable]
        name, _, part, path = variable.split(".", 3)
        if part == "headers":
            return self._responses[name].headers[path]
        value: Any = self._responses[name].json()
        for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
            value = value[key or int(index)]
        return str(value)


def test_every_operation_has_a_request_with_its_name(text: str) -> None:
    names = [request.name for request in requests(text)]
    assert len(names) == len(set(names))
    for request in requests(text):
        operation = operation_of(request)
        assert operation is not None, f"{request.name}: no operation has the path {request.url}"
        if request.name in dict(operations()):
            assert request.name == operation

    missing = {name for name, _ in operations()} - set(names) - WITHOUT_REQUEST
    assert not missing, f"docs/examples/orderly.http has no request for {sorted(missing)}"


def test_the_requests_succeed_from_top_to_bottom(text: str, demo: Server) -> None:
    file_variables = dict(re.findall(r"^@(\w+) = (.+)$", text, re.MULTILINE))
    variables = Variables({**file_variables, "shop": demo.url + BASE})
    with httpx2.Client() as client:
        for request in requests(text):
            response = client.request(
                request.method,
                variables.replace(request.url),
                headers=[(name, variables.replace(value)) for name, value in request.headers],
                content=variables.replace(request.body) or None,
            )

            assert response.is_success, f"{request.name}: {response.status_code} {response.text}"
            variables.add_response(request.name, response)
