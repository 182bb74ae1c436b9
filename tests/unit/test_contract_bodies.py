"""Request bodies are parsed strictly: ambiguous JSON is rejected. Errors never echo values."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orjson import dumps

from orderly.contract.bodies import BodyPlan, parse
from orderly.http.problems import Problem

PLAN = BodyPlan(
    {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["name"],
                    "additionalProperties": False,
                    "properties": {
                        "name": {"type": "string", "maxLength": 8},
                        # Also a keyword of JSON Schema, which must not be confused with it.
                        "default": {"type": "string", "maxLength": 8, "nullable": True},
                        "lines": {
                            "type": "array",
                            "maxItems": 3,
                            "items": {
                                "type": "object",
                                "required": ["id"],
                                "additionalProperties": False,
                                "properties": {"id": {"type": "integer"}},
                            },
                        },
                    },
                }
            }
        },
    },
)
MAX_BYTES = 1024
JSON = (b"content-type", b"application/json")


def read(*chunks: bytes, headers: tuple[tuple[bytes, bytes], ...] = (JSON,)) -> Any:
    remaining = list(chunks)

    async def receive() -> dict[str, Any]:
        body = remaining.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(remaining)}

    return asyncio.run(PLAN.read(headers, receive))


def rejection(*chunks: bytes, **options: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        read(*chunks, **options)
    return caught.value


def test_a_body_in_several_chunks_is_parsed() -> None:
    assert {"name": "mug"} == read(b'{"na', b'me":', b'"mug"}')


@pytest.mark.parametrize(
    "content_type",
    [b"Application/JSON", b"application/json; charset=utf-8", b'application/json;charset="UTF-8"'],
)
def test_the_content_type_is_case_insensitive_and_may_have_a_utf8_charset(
    content_type: bytes,
) -> None:
    assert {"name": "x"} == read(b'{"name":"x"}', headers=((b"content-type", content_type),))


@pytest.mark.parametrize(
    "content_type",
    [
        b"text/plain",
        b"application/json; charset=utf-16",
        b"application/json; profile=x; Charset=utf-16",
        b"application/xml",
        b"nonsense",
        b"",
    ],
)
def test_an_unsupported_media_type_is_415_and_lists_the_supported_ones(content_type: bytes) -> None:
    problem = rejection(b'{"name":"x"}', headers=((b"content-type", content_type),))

    assert (415, ["application/json"]) == (problem.status, problem.extensions["supported"])


def test_a_body_without_content_type_is_415() -> None:
    assert 415 == rejection(b"{}", headers=()).status


def test_a_missing_body_is_400() -> None:
    problem = rejection(b"", headers=())

    assert 400 == problem.status
    assert [{"pointer": "", "code": "required", "message": "is required"}] == problem.errors


@pytest.mark.parametrize("chunks", [(b"x" * (MAX_BYTES + 1),), (b"x" * 600, b"x" * 600)])
def test_a_body_that_is_too_large_is_413(chunks: tuple[bytes, ...]) -> None:
    assert 413 == rejection(*chunks).status


def test_a_content_length_that_is_too_large_is_413_before_the_body_is_read() -> None:
    assert 413 == rejection(headers=(JSON, (b"content-length", b"%d" % (MAX_BYTES + 1)))).status


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff", "UTF-8"),
        (b"\xef\xbb\xbf{}", "JSON"),
        (b"{", "JSON"),
        (b"NaN", "NaN"),
        (b"[-Infinity]", "Infinity"),
        (b"[1e999]", "Infinity"),
        (b'{"a":1,"a":2}', "duplicate"),
        (b'{"a":{"b":1,"b":1}}', "duplicate"),
        (rb'"\ud800"', "surrogate"),
        (b"1" * 5000, "number"),
        (b"[" * 5000 + b"]" * 5000, "deeply"),
    ],
)
def test_invalid_or_ambiguous_json_is_a_400_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(Problem, match=reason) as caught:
        parse(body)
    assert 400 == caught.value.status


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_valid_json_is_parsed_to_the_same_document(document: Any) -> None:
    assert document == parse(dumps(document))


def test_every_error_has_a_json_pointer_and_never_echoes_a_value() -> None:
    problem = rejection(b'{"name":"hunter2-is-secret","lines":[{}],"x/y":1,"default":null}')

    assert [
        {
            "pointer": "/name",
            "code": "maxLength",
            "message": "must have at most 8 characters",
        },
        {"pointer": "/lines/0/id", "code": "required", "message": "is required"},
        {"pointer": "/x~1y", "code": "unknown", "message": "is unknown"},
    ] == sorted(problem.errors, key=lambda error: error["code"])
    assert "hunter2" not in str(problem.errors)


def test_a_property_can_have_the_name_of_a_schema_keyword() -> None:
    assert {"name": "x", "default": None} == read(b'{"name":"x","default":null}')
