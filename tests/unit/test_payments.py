"""The outcome of a payment depends only on the reported states, not on sequence or duplicates."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given, strategies

from domain.order_status import CANCELLED, DELIVERED, PAID, PENDING, RETURNED, SHIPPED
from domain.payments import (
    OPEN_STATES,
    PAYMENT_TRANSITIONS,
    REFUND_TRANSITIONS,
    OrderBalance,
    PaymentState,
    PaymentStatus,
    RefundCause,
    RefundState,
    expires,
    next_payment_state,
    next_refund_state,
    payment_change,
    refundable,
)
from tests.support.payment_outcomes import EVENTS, TOTAL, World, markdown, outcome, outcomes

REPORTS = ("answer", "success", "failure", "cancel", "refund")
PAGE = Path("docs/payment-outcomes.md")

PAID_AND_REFUNDED = ("SUCCEEDED", "PAID", "REFUNDED", TOTAL, TOTAL)
CANCELLED_AND_REFUNDED = ("SUCCEEDED", "CANCELLED", "REFUNDED", TOTAL, TOTAL)


@given(strategies.permutations(tuple(PaymentState) * 2))
def test_the_state_of_a_payment_does_not_depend_on_the_sequence_of_reports(
    reports: list[PaymentState],
):
    state = PaymentState.PENDING
    for one in reports:
        state = next_payment_state(state, one)

    assert PaymentState.SUCCEEDED is state


@pytest.mark.parametrize("table", [PAYMENT_TRANSITIONS, REFUND_TRANSITIONS])
def test_states_only_move_forward(table: dict[str, frozenset[str]]):
    """No state is reached again: a relation without cycles, which is also transitive."""
    for state, following in table.items():
        assert state not in following
        for one in following:
            assert table[one] < following


@given(strategies.lists(strategies.sampled_from(tuple(RefundState)), min_size=1, max_size=6))
def test_the_state_of_a_refund_is_the_most_advanced_one_reported(reports: list[RefundState]):
    state = RefundState.PENDING
    for one in reports:
        state = next_refund_state(state, one)

    assert max(reports, key=list(RefundState).index) is state


def test_every_sequence_of_duplicate_reports_has_the_same_outcome():
    count, found = 0, set()
    for one in outcomes(dict.fromkeys(REPORTS, 2)):
        count += 1
        found.add(one)

    assert (113_400, {PAID_AND_REFUNDED}) == (count, found)


def test_every_subset_of_reports_has_one_outcome():
    for size in range(len(REPORTS)):
        for subset in itertools.combinations(REPORTS, size):
            assert len(set(outcomes(dict.fromkeys(subset, 1)))) == 1


@given(strategies.permutations((*REPORTS, "expiry") * 2))
def test_an_order_is_paid_or_expires_and_its_money_is_returned(events: list[str]):
    world = World()
    for name in events:
        world = EVENTS[name](world)

    expected = (
        PAID_AND_REFUNDED
        if events.index("success") < events.index("expiry")
        else CANCELLED_AND_REFUNDED
    )
    assert expected == outcome(world)


def test_every_sequence_of_an_expiry_and_reports_has_one_of_two_outcomes():
    found = set(outcomes(dict.fromkeys((*REPORTS, "expiry"), 1)))

    assert {PAID_AND_REFUNDED, CANCELLED_AND_REFUNDED} == found


def test_the_page_of_outcomes_is_up_to_date(repository: Path):
    page = repository / PAGE
    if os.environ.get("PYTEST_WRITE_PAGES"):
        page.write_text(markdown())

    assert page.read_text() == markdown(), (
        "run PYTEST_WRITE_PAGES=1 pytest tests/unit/test_payments.py"
    )


@pytest.mark.parametrize(
    ("status", "paid", "refunded", "captured", "pays_order", "refund", "cause"),
    [
        (PENDING, 0, 0, 100, True, 0, None),
        (PENDING, 0, 0, 99, False, 0, None),
        (PENDING, 40, 0, 60, True, 0, None),
        (PENDING, 40, 40, 60, False, 0, None),
        (PENDING, 40, 0, 100, True, 40, RefundCause.EXCESS_PAYMENT),
        *(
            (status, 100, 0, 100, False, 100, RefundCause.EXCESS_PAYMENT)
            for status in (PAID, SHIPPED, DELIVERED)
        ),
        (PAID, 100, 30, 100, False, 100, RefundCause.EXCESS_PAYMENT),
        (CANCELLED, 0, 0, 100, False, 100, RefundCause.LATE_PAYMENT),
        (CANCELLED, 100, 0, 100, False, 100, RefundCause.LATE_PAYMENT),
        (RETURNED, 100, 100, 100, False, 100, RefundCause.LATE_PAYMENT),
    ],
)
def test_money_above_the_outstanding_amount_is_refunded(
    status: str,
    paid: int,
    refunded: int,
    captured: int,
    pays_order: bool,
    refund: int,
    cause: RefundCause | None,
):
    balance = OrderBalance(status, 100, paid, refunded)

    change = payment_change(balance, PaymentState.CANCELED, captured, PaymentState.SUCCEEDED)

    assert (captured, pays_order) == (change.captured, change.pays_order)
    assert (refund, cause) == (change.refund, change.cause)


@pytest.mark.parametrize(
    ("paid", "refunded", "status"),
    [
        (0, 0, PaymentStatus.UNPAID),
        (40, 0, PaymentStatus.PARTIALLY_PAID),
        (100, 0, PaymentStatus.PAID),
        (200, 100, PaymentStatus.PAID),
        (100, 40, PaymentStatus.PARTIALLY_REFUNDED),
        (100, 100, PaymentStatus.REFUNDED),
    ],
)
def test_the_payment_status_sums_up_payments_and_refunds(
    paid: int, refunded: int, status: PaymentStatus
):
    assert status is OrderBalance(PAID, 100, paid, refunded).payment_status


@pytest.mark.parametrize("state", PaymentState)
def test_only_a_payment_that_succeeded_can_be_refunded(state: PaymentState):
    assert (70 if state is PaymentState.SUCCEEDED else 0) == refundable(state, 100, 30)


def test_an_order_with_an_open_payment_or_a_part_payment_does_not_expire():
    assert expires(OrderBalance(PENDING, 100), has_open_payment=False)
    assert not expires(OrderBalance(PENDING, 100), has_open_payment=True)
    assert not expires(OrderBalance(PENDING, 100, 40), has_open_payment=False)
    assert not expires(OrderBalance(PAID, 100), has_open_payment=False)


def test_a_payment_is_open_while_it_is_pending_or_processing():
    assert {PaymentState.PENDING, PaymentState.PROCESSING} == OPEN_STATES
