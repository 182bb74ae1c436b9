"""The status transitions of an order: who may make them, and when stock is restored."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import order_status
from domain.order_status import Party, allowed, parties

STATUS = st.sampled_from(order_status.STATUSES)
PARTIES = st.frozensets(st.sampled_from(Party))


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
def test_each_party_has_its_own_allowed_transitions(status, owner, admin, system):
    assert owner == set(allowed(status, {Party.OWNER}))
    assert admin == set(allowed(status, {Party.ADMIN}))
    assert system == set(allowed(status, {Party.SYSTEM}))


@given(STATUS, PARTIES, PARTIES)
def test_an_actor_with_two_roles_has_the_transitions_of_both(status, first, second):
    both = set(allowed(status, first | second))

    assert both == set(allowed(status, first)) | set(allowed(status, second))


@given(STATUS)
def test_an_actor_without_a_role_has_no_transitions(status):
    assert allowed(status, ()) == ()


@given(STATUS, PARTIES)
def test_allowed_transitions_have_no_duplicates_and_not_the_current_status(status, parties_):
    transitions = allowed(status, parties_)

    assert status not in transitions
    assert len(set(transitions)) == len(transitions)


def test_every_sequence_of_transitions_restores_the_stock_at_most_once():
    for path in _all_paths(("PENDING",)):
        restored = sum(
            order_status.returns_stock(before, after) for before, after in pairwise(path)
        )

        assert restored == (path[-1] not in order_status.HOLDING_UNITS)


def test_every_status_can_be_reached():
    reached = {status for path in _all_paths(("PENDING",)) for status in path}

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
def test_a_user_can_be_administrator_and_owner(admin, owner, expected):
    assert expected == parties(admin=admin, owner=owner)


def _all_paths(path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    for next_status in allowed(path[-1], Party):
        yield from _all_paths((*path, next_status))
