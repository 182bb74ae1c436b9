"""Cursors decode to the position they encode; any other well-formed text is some position."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.paging import SORTED_CHARACTERS, Position, decode, encode

CONTRACT_PATTERN = re.compile(r"^[A-Za-z0-9_-]{22,400}$")
VALUES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=SORTED_CHARACTERS),
    st.datetimes(timezones=st.just(UTC)),
)


@given(VALUES, st.uuids())
def test_a_cursor_decodes_to_the_position_that_it_encodes(value, row_id):
    position = Position(value, row_id)

    assert position == decode(encode(position), type(value))


@given(VALUES, st.uuids())
def test_every_cursor_matches_the_pattern_in_the_contract(value, row_id):
    assert CONTRACT_PATTERN.fullmatch(encode(Position(value, row_id)))


def test_a_long_name_is_truncated_to_the_characters_that_are_sorted():
    cursor = encode(Position("\N{SNOWMAN WITHOUT SNOW}" * 200, UUID(int=1)))

    assert CONTRACT_PATTERN.fullmatch(cursor)
    assert "\N{SNOWMAN WITHOUT SNOW}" * SORTED_CHARACTERS == decode(cursor, str).value


@given(st.from_regex(CONTRACT_PATTERN, fullmatch=True), st.sampled_from([int, str, datetime]))
def test_every_text_that_matches_the_pattern_decodes_to_a_position(cursor, kind):
    position = decode(cursor.rstrip("\n"), kind)

    assert isinstance(position.value, kind)
    assert isinstance(position.id, UUID)
    if kind is str:
        assert "\0" not in position.value
        position.value.encode()
        assert len(position.value) <= SORTED_CHARACTERS
    if kind is int:
        assert -(2**63) <= position.value < 2**63


@pytest.mark.parametrize("length", range(22, 27))
@pytest.mark.parametrize("kind", [int, str, datetime])
def test_a_cursor_of_any_length_decodes(length, kind):
    assert isinstance(decode("_" * length, kind).value, kind)
