"""The table of transitions is the lifecycle that the shop promises."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import order_status
from domain.order_status import Party, allowed, parties

STATUS = st.sampled_from(order_status.STATUSES)
WHO = st.frozensets(st.sampled_from(Party))


@pytest.mark.parametrize(
    ("status", "owner", "admin", "system"),
    [
        ("PENDING", {"CANCELLED"}, {"PAID", "CANCELLED"}, {"CANCELLED"}),
        ("PAID", set(), {"SHIPPED", "CANCELLED"}, set()),
        ("SHIPPED", set(), {"DELIVERED"}, set()),
        ("DELIVERED", set(), {"RETURNED"}, set()),
        ("CANCELLED", set(), set(), set()),
        ("RETURNED", set(), set(), set()),
    ],
)
def test_who_may_make_which_step(status, owner, admin, system):
    assert owner == set(allowed(status, {Party.OWNER}))
    assert admin == set(allowed(status, {Party.ADMIN}))
    assert system == set(allowed(status, {Party.SYSTEM}))


@given(STATUS, WHO, WHO)
def test_being_two_things_allows_what_either_does(status, one, other):
    both = set(allowed(status, one | other))

    assert both == set(allowed(status, one)) | set(allowed(status, other))


@given(STATUS)
def test_nobody_in_particular_may_do_nothing(status):
    assert allowed(status, ()) == ()


@given(STATUS, WHO)
def test_no_step_leads_to_where_one_stands_or_is_named_twice(status, who):
    steps = allowed(status, who)

    assert status not in steps
    assert len(set(steps)) == len(steps)


def test_stock_is_given_back_at_most_once_on_every_way_through_life():
    for path in _lives(("PENDING",)):
        given_back = sum(order_status.returns_stock(a, b) for a, b in pairwise(path))

        assert given_back == (path[-1] not in order_status.HOLDING_UNITS)


def test_every_status_can_be_reached():
    reached = {status for path in _lives(("PENDING",)) for status in path}

    assert set(order_status.STATUSES) == reached


@pytest.mark.parametrize(
    ("admin", "owner", "expected"),
    [
        (False, False, set()),
        (True, False, {Party.ADMIN}),
        (False, True, {Party.OWNER}),
        (True, True, {Party.ADMIN, Party.OWNER}),
    ],
)
def test_a_person_may_be_administrator_and_owner_at_once(admin, owner, expected):
    assert expected == parties(admin=admin, owner=owner)


def _lives(path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    for following in allowed(path[-1], Party):
        yield from _lives((*path, following))
