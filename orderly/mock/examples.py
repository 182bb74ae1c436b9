"""The example responses in the contract, and the choice between them by the header `Prefer`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orderly.contract.references import resolve
from orderly.http.problems import Problem

_SUCCESS = range(200, 300)
# RFC 7240, section 2, limited to the syntax that `code` and `example` need.
_PREFERENCE = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"([^"]*)"|([\w.-]*))\s*', re.ASCII)


@dataclass(frozen=True, slots=True)
class Example:
    """One documented response. `name` and `media_type` are None if the response has no body."""

    status: int
    name: str | None
    media_type: str | None
    value: Any
    headers: Mapping[str, str]


def documented_examples(
    contract: Mapping[str, Any], operation: Mapping[str, Any]
) -> Sequence[Example]:
    """Return the examples of an operation in the order of the document, successes first."""
    found = [
        example
        for status, response in operation["responses"].items()
        for example in _examples_of(contract, int(status), resolve(contract, response))
    ]
    return sorted(found, key=lambda example: example.status not in _SUCCESS)


def preferred_example(
    examples: Sequence[Example], headers: Iterable[tuple[bytes, bytes]]
) -> Example:
    """Return the first example with the `code` and the `example` name in the header `Prefer`.

    Other preferences are ignored (RFC 7240, section 2).

    Raises:
        Problem: `malformed_request`: there is no such example. The problem lists the examples.
    """
    preferences = dict(_preferences(headers))
    code, name = preferences.get("code"), preferences.get("example")
    for example in examples:
        if code in {None, str(example.status)} and name in {None, example.name}:
            return example
    raise _unknown_example(examples, code)


def _examples_of(
    contract: Mapping[str, Any], status: int, response: Mapping[str, Any]
) -> Iterator[Example]:
    # Leave out optional headers: they do not belong to every response (Idempotent-Replayed, Link).
    all_headers = {
        name: resolve(contract, header) for name, header in response.get("headers", {}).items()
    }
    headers = {
        name: str(header["example"])
        for name, header in all_headers.items()
        if header.get("required") and "example" in header
    }
    content = response.get("content", {})
    if not content:
        yield Example(status, None, None, None, headers)
    for media_type, media in content.items():
        for name, example in media.get("examples", {}).items():
            yield Example(status, name, media_type, resolve(contract, example)["value"], headers)


def _preferences(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        if name == b"prefer":
            for part in re.split("[,;]", value.decode("latin-1")):
                if match := _PREFERENCE.fullmatch(part):
                    yield match[1].lower(), match[2] or match[3] or ""


def _unknown_example(examples: Sequence[Example], code: str | None) -> Problem:
    with_code = [example for example in examples if code in {None, str(example.status)}]
    choices = ", ".join(
        f"code={example.status}" + (f" example={example.name}" if example.name else "")
        for example in with_code or examples
    )
    return Problem(
        "malformed_request",
        "This operation has no such example.",
        errors=[
            {
                "parameter": "Prefer",
                "in": "header",
                "code": "unknown",
                "message": f"choose one of these: {choices}",
            }
        ],
    )
