"""Bodies are read strictly: what could be read in two ways is refused, and nothing is echoed."""

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
                        "default": {"type": "string", "nullable": True},
                        "lines": {
                            "type": "array",
                            "items": {"type": "object", "required": ["id"]},
                        },
                    },
                }
            }
        },
    },
    max_bytes=100,
)
JSON = (b"content-type", b"application/json")


def read(*chunks: bytes, headers: tuple[tuple[bytes, bytes], ...] = (JSON,)) -> Any:
    remaining = list(chunks)

    async def receive() -> dict[str, Any]:
        body = remaining.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(remaining)}

    return asyncio.run(PLAN.read(headers, receive))


def refusal(*chunks: bytes, **options: Any) -> Problem:
    with pytest.raises(Problem) as refused:
        read(*chunks, **options)
    return refused.value


def test_a_body_is_read_whatever_its_chunks() -> None:
    assert {"name": "mug"} == read(b'{"na', b'me":', b'"mug"}')


@pytest.mark.parametrize(
    "content_type",
    [b"Application/JSON", b"application/json; charset=utf-8", b'application/json;charset="UTF-8"'],
)
def test_a_content_type_is_read_as_http_spells_it(content_type: bytes) -> None:
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
def test_another_media_type_is_415_and_names_what_is_taken(content_type: bytes) -> None:
    problem = refusal(b'{"name":"x"}', headers=((b"content-type", content_type),))

    assert (415, ["application/json"]) == (problem.status, problem.facts["supported"])


def test_a_body_without_content_type_is_415() -> None:
    assert 415 == refusal(b"{}", headers=()).status


def test_a_missing_body_is_400() -> None:
    problem = refusal(b"", headers=())

    assert 400 == problem.status
    assert [{"pointer": "", "code": "required", "message": "is required"}] == problem.errors


@pytest.mark.parametrize("chunks", [(b"x" * 101,), (b"x" * 60, b"x" * 60)])
def test_too_long_a_body_is_413(chunks: tuple[bytes, ...]) -> None:
    assert 413 == refusal(*chunks).status


def test_too_long_a_body_is_refused_before_it_is_read() -> None:
    assert 413 == refusal(headers=(JSON, (b"content-length", b"101"))).status


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
def test_what_is_no_clear_json_is_refused_with_its_reason(body: bytes, reason: str) -> None:
    with pytest.raises(Problem, match=reason) as refused:
        parse(body)
    assert 400 == refused.value.status


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_read_as_it_was_written(document: Any) -> None:
    assert document == parse(dumps(document))


def test_every_fault_is_named_by_pointer_and_no_value_is_repeated() -> None:
    problem = refusal(b'{"name":"hunter2-is-secret","lines":[{}],"x/y":1,"default":null}')

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


def test_a_member_may_be_called_like_a_keyword() -> None:
    assert {"name": "x", "default": None} == read(b'{"name":"x","default":null}')
