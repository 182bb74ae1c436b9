"""A model of one order with one payment: what each event does, composed from the pure rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from domain.order_status import CANCELLED, PAID, PENDING
from domain.payments import (
    OPEN,
    Account,
    PaymentState,
    RefundState,
    expires,
    next_refund_state,
    refundable,
    settle,
)

TOTAL = 7670


@dataclass(frozen=True)
class World:
    """An order, its payment and the refund of it, and what the provider has done."""

    account: Account = field(default_factory=lambda: Account(PENDING, TOTAL))
    payment: PaymentState = PaymentState.PENDING
    # The refund that settling has reserved.
    automatic: RefundState | None = None
    is_refunded_at_provider: bool = False
    # Whether a refund made at the provider is recorded, or kept until its payment has succeeded.
    is_recorded: bool = False
    is_kept: bool = False


class Outcome(NamedTuple):
    """What remains when all news has arrived and the jobs have run."""

    payment: str
    order: str
    payment_status: str
    paid: int
    refunded: int


def _news(world: World, news: PaymentState) -> World:
    change = settle(world.account, world.payment, TOTAL, news)
    account = replace(
        world.account,
        status=PAID if change.pays_order else world.account.status,
        paid=world.account.paid + change.captured,
        refunded=world.account.refunded + change.refund,
    )
    automatic = RefundState.PENDING if change.refund else world.automatic
    return _record_kept(replace(world, account=account, payment=change.state, automatic=automatic))


def _answer(world: World) -> World:
    return _news(world, PaymentState.PENDING)


def _success(world: World) -> World:
    return _news(world, PaymentState.SUCCEEDED)


def _failure(world: World) -> World:
    return _news(world, PaymentState.FAILED)


def _cancel(world: World) -> World:
    return _news(world, PaymentState.CANCELED)


def _refund(world: World) -> World:
    """Let the provider report that it has returned the money."""
    world = replace(world, is_refunded_at_provider=True)
    if world.automatic is not None:
        return _settle_automatic(world, RefundState.SUCCEEDED)
    return _record_kept(replace(world, is_kept=not world.is_recorded))


def _expiry(world: World) -> World:
    """Cancel the order if it is unpaid, after its payment was canceled at the provider."""
    if world.account.status == PENDING and world.payment in OPEN:
        world = _news(world, PaymentState.CANCELED)
    if expires(world.account, has_open_payment=world.payment in OPEN):
        return replace(world, account=replace(world.account, status=CANCELLED))
    return world


def _record_kept(world: World) -> World:
    left = refundable(world.payment, TOTAL, world.account.refunded)
    if not world.is_kept or left < TOTAL:
        return world
    account = replace(world.account, refunded=world.account.refunded + TOTAL)
    return replace(world, account=account, is_kept=False, is_recorded=True)


def _settle_automatic(world: World, news: RefundState) -> World:
    assert world.automatic is not None
    following = next_refund_state(world.automatic, news)
    account = world.account
    if following is RefundState.FAILED and world.automatic is not RefundState.FAILED:
        account = replace(account, refunded=account.refunded - TOTAL)
    return replace(world, account=account, automatic=following)


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
    """Let the reconciliation job finish a pending refund; return what remains.

    The provider refuses to return money that it has returned already.
    """
    if world.automatic is RefundState.PENDING:
        is_refused = world.is_refunded_at_provider
        news = RefundState.FAILED if is_refused else RefundState.SUCCEEDED
        world = _record_kept(_settle_automatic(world, news))
    account = world.account
    return Outcome(
        world.payment, account.status, account.payment_status, account.paid, account.refunded
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


_NEWS = ("success", "failure", "cancel", "refund")
_INTRODUCTION = """\
# Outcomes of a payment

News of a payment can arrive twice, late and in any sequence. The outcome does not depend on that.
It depends on which news arrives, and on whether the order expires before the money arrives. A test
(`tests/unit/test_payments.py`) tries all 113,400 sequences of five kinds of news that each arrive
twice (the answer to the request, success, failure, cancellation and refund). It writes this table.

- **success, failure, cancel:** the provider reports this state of the payment. The answer to the
  request that created it never changes the outcome, so it has no column.
- **refund:** the provider reports that it has returned the whole amount.
- **Expiry first:** the order expires before the success arrives, or without a success.
- A refund that Orderly starts itself has finished. Money that arrives for a cancelled order is
  returned once.

| success | failure | cancel | refund | payment | order | order, expiry first |
|---|---|---|---|---|---|---|"""


def _rows() -> Iterator[str]:
    for bits in range(1 << len(_NEWS)):
        chosen = [name for position, name in enumerate(_NEWS) if bits >> position & 1]
        usual = _only(chosen)
        expired = _only(["expiry", *chosen])
        marks = ["yes" if name in chosen else "" for name in _NEWS]
        cells = [*marks, usual.payment, _label(usual), _label(expired)]
        yield f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def _only(events: list[str]) -> Outcome:
    world = World()
    for name in events:
        world = EVENTS[name](world)
    return outcome(world)


def _label(one: Outcome) -> str:
    return f"{one.order}, {one.payment_status}"
