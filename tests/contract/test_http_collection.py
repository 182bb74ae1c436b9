"""docs/examples/orderly.http: a request for each operation, and each of them works."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.support.contract import operations
from tests.support.processes import Server, run_server

BASE = "/api/v1"


class Request(NamedTuple):
    """One request as the file has it, its variables not yet replaced."""

    name: str
    method: str
    address: str
    headers: tuple[tuple[str, str], ...]
    body: str


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(
        tmp_path_factory.mktemp("collection") / "data", "--demo", ORDERLY_VALIDATE_RESPONSES="true"
    ) as server:
        yield server


@pytest.fixture(scope="module")
def text(repository: Path) -> str:
    return (repository / "docs" / "examples" / "orderly.http").read_text()


def requests(text: str) -> Iterator[Request]:
    """Yield the requests of a file for Visual Studio Code's REST Client."""
    for block in re.split(r"^###.*\n", text, flags=re.MULTILINE)[1:]:
        (name,) = re.findall(r"^# @name (\w+)$", block, re.MULTILINE)
        head, _, body = re.sub(r"^#.*\n", "", block, flags=re.MULTILINE).strip().partition("\n\n")
        line, *fields = head.splitlines()
        method, address = line.split(" ", 1)
        headers = tuple(tuple(field.split(": ", 1)) for field in fields)
        yield Request(name, method, address, headers, body)  # type: ignore[arg-type]


def operation_of(request: Request) -> str | None:
    """Return the operation that a request is for: literal paths before those with parameters."""
    path = request.address.removeprefix("{{shop}}").partition("?")[0]
    steps = path.split("/")
    found = []
    for name, operation in operations():
        template = operation["path"].split("/")
        if operation["method"].upper() == request.method and len(template) == len(steps):
            pairs = list(zip(template, steps, strict=True))
            if all(("{{" in step) if one.startswith("{") else one == step for one, step in pairs):
                found.append(name)
    return found[0] if found else None


class Variables:
    """Replaces `{{...}}` as the REST Client does, from what was answered so far."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self._answers: dict[str, httpx2.Response] = {}

    def remember(self, name: str, answer: httpx2.Response) -> None:
        self._answers[name] = answer

    def replace(self, text: str) -> str:
        return re.sub(r"\{\{([^}]+)\}\}", lambda match: self._value(match[1]), text)

    def _value(self, variable: str) -> str:
        if variable == "$guid":
            return str(uuid.uuid4())
        if variable == "$timestamp":
            return str(int(time.time()))
        if variable in self._given:
            return self._given[variable]
        name, _, part, path = variable.split(".", 3)
        if part == "headers":
            return self._answers[name].headers[path]
        value: Any = self._answers[name].json()
        for step in re.findall(r"\.(\w+)|\[(\d+)\]", path):
            value = value[step[0] or int(step[1])]
        return str(value)


def test_every_operation_has_a_request_of_its_name(text: str) -> None:
    names = [request.name for request in requests(text)]
    assert len(names) == len(set(names))
    for request in requests(text):
        operation = operation_of(request)
        assert operation is not None, f"{request.name}: no operation is at {request.address}"
        if request.name in dict(operations()):
            assert request.name == operation

    lacking = {name for name, _ in operations()} - set(names)
    assert not lacking, f"docs/examples/orderly.http lacks a request for {sorted(lacking)}"


def test_every_request_works_from_top_to_bottom(text: str, demo: Server) -> None:
    given = dict(re.findall(r"^@(\w+) = (.+)$", text, re.MULTILINE))
    variables = Variables({**given, "shop": demo.url + BASE})
    with httpx2.Client() as client:
        for request in requests(text):
            answer = client.request(
                request.method,
                variables.replace(request.address),
                headers=[(name, variables.replace(value)) for name, value in request.headers],
                content=variables.replace(request.body) or None,
            )

            assert answer.is_success, f"{request.name}: {answer.status_code} {answer.text}"
            variables.remember(request.name, answer)
