"""The answers that an operation's document has, and which of them a request prefers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orderly.http.problems import Problem

_SUCCESS = range(200, 300)
# RFC 7240, section 2, as far as our two preferences need it.
_PREFERENCE = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"([^"]*)"|([\w.-]*))\s*', re.ASCII)


@dataclass(frozen=True, slots=True)
class Example:
    """One documented answer. `name` is None where a status has no body, and so no examples."""

    status: int
    name: str | None
    media_type: str | None
    value: Any
    headers: Mapping[str, str]


def documented(responses: Mapping[str, Any]) -> Sequence[Example]:
    """Return the examples of an operation, successes first, else as they are written."""
    found = [one for status, response in responses.items() for one in _of(int(status), response)]
    return sorted(found, key=lambda one: one.status not in _SUCCESS)


def preferred(examples: Sequence[Example], headers: Iterable[tuple[bytes, bytes]]) -> Example:
    """Return the first example that has the code and the name which `Prefer` asks for.

    Other preferences are passed over (RFC 7240, section 2).

    Raises:
        Problem: `malformed_request`: there is none, and which there are instead.
    """
    wanted = dict(_preferences(headers))
    code, name = wanted.get("code"), wanted.get("example")
    for one in examples:
        if code in {None, str(one.status)} and name in {None, one.name}:
            return one
    raise _unknown(examples, code)


def _of(status: int, response: Mapping[str, Any]) -> Iterator[Example]:
    # Those that are not always there stay away: they tell of a replay, or of a page that follows.
    headers = {
        name: str(header["example"])
        for name, header in response.get("headers", {}).items()
        if header.get("required") and "example" in header
    }
    content = response.get("content", {})
    if not content:
        yield Example(status, None, None, None, headers)
    for media_type, described in content.items():
        for name, example in described.get("examples", {}).items():
            yield Example(status, name, media_type, example["value"], headers)


def _preferences(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        if name == b"prefer":
            for part in re.split("[,;]", value.decode("latin-1")):
                if found := _PREFERENCE.fullmatch(part):
                    yield found[1].lower(), found[2] or found[3] or ""


def _unknown(examples: Sequence[Example], code: str | None) -> Problem:
    of_code = [one for one in examples if code in {None, str(one.status)}]
    choices = ", ".join(
        f"code={one.status}" + (f" example={one.name}" if one.name else "")
        for one in of_code or examples
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
