"""A model of one order with one payment: what each event does, composed from the pure rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from domain.order_status import CANCELLED, PAID, PENDING
from domain.payments import (
    OPEN_STATES,
    OrderBalance,
    PaymentState,
    RefundState,
    expires,
    next_refund_state,
    payment_change,
    refundable,
)

TOTAL = 7670


@dataclass(frozen=True)
class World:
    """An order, its payment and the refund of it, and what the provider has done."""

    balance: OrderBalance = field(default_factory=lambda: OrderBalance(PENDING, TOTAL))
    payment: PaymentState = PaymentState.PENDING
    # The refund of excess money that the success has reserved.
    automatic: RefundState | None = None
    is_refunded_at_provider: bool = False
    # Whether a refund made at the provider is recorded, or waits until its payment has succeeded.
    is_recorded: bool = False
    is_unmatched: bool = False


class Outcome(NamedTuple):
    """The final state, after all reports and jobs."""

    payment: str
    order: str
    payment_status: str
    paid: int
    refunded: int


def _report(world: World, reported: PaymentState) -> World:
    change = payment_change(world.balance, world.payment, TOTAL, reported)
    balance = world.balance._replace(
        status=PAID if change.pays_order else world.balance.status,
        paid=world.balance.paid + change.captured,
        refunded=world.balance.refunded + change.refund,
    )
    automatic = RefundState.PENDING if change.refund else world.automatic
    return _record_unmatched(
        replace(world, balance=balance, payment=change.state, automatic=automatic)
    )


def _answer(world: World) -> World:
    return _report(world, PaymentState.PENDING)


def _success(world: World) -> World:
    return _report(world, PaymentState.SUCCEEDED)


def _failure(world: World) -> World:
    return _report(world, PaymentState.FAILED)


def _cancel(world: World) -> World:
    return _report(world, PaymentState.CANCELED)


def _refund(world: World) -> World:
    """Let the provider report that it has returned the money."""
    world = replace(world, is_refunded_at_provider=True)
    if world.automatic is not None:
        return _report_automatic_refund(world, RefundState.SUCCEEDED)
    return _record_unmatched(replace(world, is_unmatched=not world.is_recorded))


def _expiry(world: World) -> World:
    """Cancel the order if it is unpaid, after its payment was canceled at the provider."""
    if world.balance.status == PENDING and world.payment in OPEN_STATES:
        world = _report(world, PaymentState.CANCELED)
    if expires(world.balance, has_open_payment=world.payment in OPEN_STATES):
        return replace(world, balance=world.balance._replace(status=CANCELLED))
    return world


def _record_unmatched(world: World) -> World:
    remaining = refundable(world.payment, TOTAL, world.balance.refunded)
    if not world.is_unmatched or remaining < TOTAL:
        return world
    balance = world.balance._replace(refunded=world.balance.refunded + TOTAL)
    return replace(world, balance=balance, is_unmatched=False, is_recorded=True)


def _report_automatic_refund(world: World, reported: RefundState) -> World:
    assert world.automatic is not None
    next_state = next_refund_state(world.automatic, reported)
    balance = world.balance
    if next_state is RefundState.FAILED and world.automatic is not RefundState.FAILED:
        balance = balance._replace(refunded=balance.refunded - TOTAL)
    return replace(world, balance=balance, automatic=next_state)


EVENTS: Mapping[str, Callable[[World], World]] = MappingProxyType(
    {
        "answer": _answer,
        "success": _success,
        "failure": _failure,
        "cancel": _cancel,
        "refund": _refund,
        "expiry": _expiry,
    }
)


def outcome(world: World) -> Outcome:
    """Let the reconciliation job finish a pending refund; return the final state.

    The provider refuses to return money that it has returned already.
    """
    if world.automatic is RefundState.PENDING:
        is_refused = world.is_refunded_at_provider
        reported = RefundState.FAILED if is_refused else RefundState.SUCCEEDED
        world = _record_unmatched(_report_automatic_refund(world, reported))
    balance = world.balance
    return Outcome(
        world.payment, balance.status, balance.payment_status, balance.paid, balance.refunded
    )


def outcomes(counts: Mapping[str, int], world: World | None = None) -> Iterator[Outcome]:
    """Yield the outcome of every sequence that has each event as often as `counts` says."""
    world = World() if world is None else world
    remaining = [name for name, count in counts.items() if count]
    if not remaining:
        yield outcome(world)
    for name in remaining:
        yield from outcomes({**counts, name: counts[name] - 1}, EVENTS[name](world))


def markdown() -> str:
    """Return the table of outcomes as a Markdown page."""
    return "\n".join([_INTRODUCTION, *_rows(), ""])


_REPORTS = ("success", "failure", "cancel", "refund")
_INTRODUCTION = """\
# Outcomes of a payment

Reports of a payment can be duplicates, late and out of order. The outcome does not depend on that.
It depends on which states are reported, and on whether the order expires before the money arrives.
A test (`tests/unit/test_payments.py`) tries all 113,400 sequences of five reports that each arrive
twice (the response to the request, success, failure, cancellation and refund). It writes this
table.

- **success, failure, cancel:** the provider reports this state of the payment. The response to
  the request that created it never changes the outcome, so it has no column.
- **refund:** the provider reports that it has returned the whole amount.
- **Expiry first:** the order expires before the success arrives, or without a success.
- A refund that Orderly starts itself has finished. Money that arrives for a cancelled order is
  returned once.

| success | failure | cancel | refund | payment | order | order, expiry first |
|---|---|---|---|---|---|---|"""


def _rows() -> Iterator[str]:
    for bits in range(1 << len(_REPORTS)):
        chosen = [name for position, name in enumerate(_REPORTS) if bits >> position & 1]
        usual = _only(chosen)
        expired = _only(["expiry", *chosen])
        marks = ["yes" if name in chosen else "" for name in _REPORTS]
        cells = [*marks, usual.payment, _label(usual), _label(expired)]
        yield f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def _only(events: list[str]) -> Outcome:
    world = World()
    for name in events:
        world = EVENTS[name](world)
    return outcome(world)


def _label(one: Outcome) -> str:
    return f"{one.order}, {one.payment_status}"
