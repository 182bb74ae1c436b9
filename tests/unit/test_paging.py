"""Cursors lead back to where they were made, and any other text leads somewhere."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.paging import SORTED_CHARACTERS, Position, decode, encode

CONTRACT = re.compile(r"^[A-Za-z0-9_-]{22,400}$")
VALUES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=SORTED_CHARACTERS),
    st.datetimes(timezones=st.just(UTC)),
)


@given(VALUES, st.uuids())
def test_a_cursor_gives_back_the_position_it_was_made_for(value, row_id):
    position = Position(value, row_id)

    assert position == decode(encode(position), type(value))


@given(VALUES, st.uuids())
def test_every_cursor_we_make_fits_the_contract(value, row_id):
    assert CONTRACT.fullmatch(encode(Position(value, row_id)))


def test_a_long_name_is_cut_where_the_list_stops_comparing():
    cursor = encode(Position("\N{SNOWMAN WITHOUT SNOW}" * 200, UUID(int=1)))

    assert CONTRACT.fullmatch(cursor)
    assert "\N{SNOWMAN WITHOUT SNOW}" * SORTED_CHARACTERS == decode(cursor, str).value


@given(st.from_regex(CONTRACT, fullmatch=True), st.sampled_from([int, str, datetime]))
def test_every_text_that_fits_the_contract_is_some_position(cursor, kind):
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
def test_every_length_decodes(length, kind):
    assert isinstance(decode("_" * length, kind).value, kind)
