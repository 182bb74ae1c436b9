"""Hypothesis strategies for HTTP requests: the contract's examples, with invalid parts mixed in."""

from __future__ import annotations

import copy
import json
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

from tests.support.contract import Node, operations

OPERATIONS = [node for _, node in operations()]

# Replacements for properties and parameters: every type, and the contract's bounds, met and
# exceeded by one.
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 100, 101, 1.5, 10_000, 10_001, 2**31, 2**53, 9_000_000_000_001),
    *("", "x", "EUR", "eur", "PAID", "paid", "-total", "created_at", "ada@example.com", "ada@"),
    *("0192f0c1-7e2a-7b31-8c55-5d0a1f4be111", "0192F0C1-7E2A-7B31-8C55-5D0A1F4BE111", "0192f0c1"),
    *("2026-11-23T10:00:00Z", "2026-11-23T10:00:00+01:00", "2026-11-23", "2026-13-40T10:00:00Z"),
    *("a" * length for length in (8, 9, 22, 40, 41, 64, 100, 101, 128, 129, 200, 201, 255, 256)),
    *("a" * length for length in (500, 501, 1000, 1001, 2000, 2001)),
    *([], {}, ["x"], [1, 2], {"x": 1}, {"amount": 1, "currency": "EUR"}),
]


class HttpRequest(NamedTuple):
    """A request, encoded as it is sent."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Mutation(NamedTuple):
    """A change to one place in a JSON document."""

    kind: str  # replace, remove or add
    path: list[int]  # positions of the members to descend into, modulo their number
    value: Any


MUTATIONS = st.builds(
    Mutation,
    st.sampled_from(["replace", "remove", "add"]),
    st.lists(st.integers(0, 7), min_size=1, max_size=4),
    st.sampled_from(VALUES),
)


@st.composite
def requests(draw: st.DrawFn) -> HttpRequest:
    """Generate a request to any operation, most of its parts valid."""
    operation = draw(st.sampled_from(OPERATIONS))
    path, query, headers = f"/api/v1{operation['path']}", [], []
    for parameter in operation["parameters"]:
        name, location = parameter["name"], parameter["in"]
        text = draw(parameter_texts(parameter))
        if location == "path":
            path = path.replace(f"{{{name}}}", quote(text or "x", safe=""))
        elif text is not None and location == "query":
            query.append((name, text))
        elif text is not None and text.strip():
            headers.append((name, text))
    if draw(st.integers(0, 15)) == 0:
        query.append(("undocumented", "x"))
    body = b""
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        media_type = draw(st.sampled_from(sorted(content)))
        headers.append(("content-type", media_type))
        value = draw(bodies(content[media_type]))
        body = as_text(value).encode()
    return HttpRequest(operation["method"].upper(), path, urlencode(query), tuple(headers), body)


def parameter_texts(parameter: Node) -> st.SearchStrategy[str | None]:
    """Generate texts for a parameter, most of them valid, or None to leave it out."""
    schema = parameter["schema"].get("items", parameter["schema"])
    values = [example["value"] for example in parameter.get("examples", {}).values()]
    values += schema.get("enum", [])
    values += [
        schema[keyword] for keyword in ("minimum", "maximum", "default") if keyword in schema
    ]
    texts = [as_text(value) for value in values if not isinstance(value, list)] or ["x"]
    valid: st.SearchStrategy[str | None] = st.sampled_from(texts)
    absent = valid if parameter["in"] == "path" else st.none()
    arbitrary = st.sampled_from([as_text(value) for value in VALUES])
    return st.one_of(absent, valid, valid, valid, arbitrary)


def bodies(content: Node) -> st.SearchStrategy[Any]:
    """Generate the contract's examples of a body, with up to two mutations.

    Only JSON is mutated. Examples of files are sent as they are, since stock Connexion does not
    validate files.
    """
    examples = st.sampled_from([example["value"] for example in content["examples"].values()])
    return st.builds(mutated, examples, st.lists(MUTATIONS, max_size=2))


def mutated(example: Any, mutations: list[Mutation]) -> Any:
    """Return a copy of an example with these mutations."""
    body = copy.deepcopy(example)
    if not isinstance(example, str):
        for mutation in mutations:
            _mutate(body, mutation)
    return body


def _mutate(body: Any, mutation: Mutation) -> None:
    container, value = body, copy.deepcopy(mutation.value)
    *steps, last = mutation.path
    for step in steps:
        members = list(container.values()) if isinstance(container, dict) else container
        if not members or not isinstance(members[step % len(members)], dict | list):
            break
        container = members[step % len(members)]
    keys: list[Any] = list(container) if isinstance(container, dict) else [*range(len(container))]
    if mutation.kind == "add":
        if isinstance(container, dict):
            container["undocumented"] = value
        else:
            container.append(value)
    elif keys:
        key = keys[last % len(keys)]
        if mutation.kind == "replace":
            container[key] = value
        else:
            del container[key]


def as_text(value: Any) -> str:
    """Return a string as it is, and any other value as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
