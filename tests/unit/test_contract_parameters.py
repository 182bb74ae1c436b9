"""Parameters are parsed strictly, by the types that the document gives."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from orderly.contract.parameters import ParameterPlan
from orderly.http.problems import Problem

ID = "0192f0c1-7e2a-7b31-8c55-5d0a1f4be111"


def parameter(name: str, place: str, schema: dict[str, Any], **keywords: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "schema": schema, **keywords}


PLAN = ParameterPlan(
    [
        parameter("product_id", "path", {"type": "string", "format": "uuid"}, required=True),
        parameter(
            "limit", "query", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}
        ),
        parameter("active", "query", {"type": "boolean"}),
        parameter("since", "query", {"type": "string", "format": "date-time"}),
        parameter("q", "query", {"type": "string", "minLength": 1, "pattern": r"^[^\u0000]*$"}),
        parameter(
            "status", "query", {"type": "array", "items": {"type": "string", "enum": ["A", "B"]}}
        ),
        parameter("If-Match", "header", {"type": "string", "pattern": '^"[^"]*"$'}),
        parameter("Accept", "header", {"type": "string"}),
    ]
)


def read(query: str = "", path: str = ID, headers: list[tuple[bytes, bytes]] | None = None) -> Any:
    return PLAN.read({"product_id": path}, query.encode(), headers or [])


def errors(query: str = "", **options: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(Problem) as caught:
        read(query, **options)
    assert 400 == caught.value.status
    return [(error["in"], error["parameter"], error["code"]) for error in caught.value.errors]


def test_values_are_converted_to_the_types_of_the_document() -> None:
    arguments = read(
        "limit=5&active=true&since=2026-01-01T01:00:00%2B01:00&q=blue+mug&status=A&status=B",
        headers=[(b"if-match", b'"3"'), (b"accept", b"*/*")],
    )

    assert {
        "product_id": UUID(ID),
        "limit": 5,
        "active": True,
        "since": datetime(2026, 1, 1, tzinfo=UTC),
        "q": "blue mug",
        "status": ["A", "B"],
        "if_match": '"3"',
    } == arguments


def test_a_missing_parameter_has_its_default() -> None:
    assert {"product_id": UUID(ID), "limit": 20} == read()


@pytest.mark.parametrize(
    "spelling",
    ["+5", "%205", "5%20", "1_0", "%D9%A5", "05", "5.0", "5e0", "0x5", "", "--5", "5%0A"],
)
def test_an_integer_has_exactly_one_accepted_spelling(spelling: str) -> None:
    assert [("query", "limit", "type")] == errors(f"limit={spelling}")


@pytest.mark.parametrize("spelling", ["TRUE", "True", "1", "yes", "", "true%0A"])
def test_a_boolean_is_true_or_false(spelling: str) -> None:
    assert [("query", "active", "type")] == errors(f"active={spelling}")


@pytest.mark.parametrize(
    "path", ["x", ID + "\n", ID.replace("-", ""), "{" + ID + "}", "urn:uuid:" + ID, ID[:-1]]
)
def test_an_id_must_be_a_uuid_in_its_usual_form(path: str) -> None:
    assert [("path", "product_id", "format")] == errors(path=path)


@pytest.mark.parametrize(
    "timestamp",
    [
        "0000-01-01T00:00:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-02-30T00:00:00Z",
        "0001-01-01T00:00:00%2B10:00",
        "2026-01-01T00:00:00Z%0A",
    ],
)
def test_a_timestamp_must_be_valid_and_storable(timestamp: str) -> None:
    assert [("query", "since", "format")] == errors(f"since={timestamp}")


def test_a_timestamp_with_an_offset_is_converted_to_utc() -> None:
    arguments = read("since=2026-01-01T00:00:00%2B21:24")

    assert datetime(2025, 12, 31, 2, 36, tzinfo=UTC) == arguments["since"]


def test_every_error_is_listed() -> None:
    assert [
        ("query", "limit", "repeated"),
        ("query", "colour", "unknown"),
        ("query", "q", "minLength"),
        ("query", "status", "enum"),
    ] == errors("limit=1&limit=2&colour=blue&q=&status=C")


def test_a_nul_character_is_rejected() -> None:
    assert [("query", "q", "pattern")] == errors("q=a%00b")


@pytest.mark.parametrize("query", ["q=%FF", "q=%C3", "q=\xff"])
def test_a_query_that_is_not_utf8_is_rejected(query: str) -> None:
    with pytest.raises(Problem, match="UTF-8"):
        PLAN.read({"product_id": ID}, query.encode("latin-1"), [])


def test_a_header_that_is_sent_twice_is_rejected() -> None:
    assert [("header", "If-Match", "repeated")] == errors(
        headers=[(b"if-match", b'"1"'), (b"if-match", b'"2"')]
    )


def test_a_parameter_that_the_document_defines_twice_is_read_once() -> None:
    definition = parameter("id", "path", {"type": "string"}, required=True)

    assert {"id": "x"} == ParameterPlan([definition, definition]).read({"id": "x"}, b"", [])
