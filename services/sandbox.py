"""The sandbox: choosing the outcome of payments without money, and reading mails that are kept."""

from __future__ import annotations

from itertools import islice
from uuid import UUID

from database.greenlets import run_in_thread
from domain.actor import Actor
from domain.errors import NotFound, PaymentNotOpen, PaymentProviderNotEnabled
from integrations.mail.sandbox import SandboxMail, SandboxMailbox
from integrations.payments import sandbox
from integrations.payments.provider import ProviderRefused
from integrations.payments.sandbox import Outcome, SandboxProvider
from services import payment_providers, process
from services.payments import Payment, create_at_provider, find_payment, get_payment, is_unanswered

__all__ = [
    "Payment",
    "SandboxMail",
    "get_sandbox_mail",
    "list_sandbox_mail",
    "settle_sandbox_payment",
]


def settle_sandbox_payment(*, actor: Actor, payment_id: UUID, outcome: str) -> Payment:
    """Choose the outcome of a payment at the sandbox; its notification then changes the payment.

    Returns the payment as our database has it, which may be before the notification.

    Raises:
        NotFound: the shop does not use the sandbox, no sandbox payment has this id, or another
            user has placed the order.
        PaymentNotOpen: the payment has another outcome already, or was canceled.
        PaymentProviderUnavailable: the sandbox cannot use its file.
    """
    provider = _find_sandbox()
    payment = get_payment(actor=actor, payment_id=payment_id)
    if payment.provider != sandbox.NAME or payment.user_id != actor.user_id:
        raise NotFound("payment")
    if is_unanswered(payment):
        create_at_provider(actor, payment)
        payment = find_payment(payment_id)
    if payment.reference is None:  # the sandbox has refused to create it
        raise PaymentNotOpen(payment_status=payment.status)
    try:
        payment_providers.call(provider, provider.settle, payment.reference, Outcome(outcome))
    except ProviderRefused as refusal:
        raise PaymentNotOpen(payment_status=find_payment(payment_id).status) from refusal
    return find_payment(payment_id)


def _find_sandbox() -> SandboxProvider:
    try:
        provider = payment_providers.find(sandbox.NAME)
    except PaymentProviderNotEnabled as error:
        raise NotFound("sandbox") from error
    assert isinstance(provider, SandboxProvider)  # noqa: S101  # no other provider has this name
    return provider


@run_in_thread
def list_sandbox_mail(*, limit: int, to: str | None) -> list[SandboxMail]:
    """Return the newest mails, only those to the address `to` unless it is None.

    Raises:
        NotFound: the shop does not keep its mails.
    """
    mails = _find_mailbox().newest()
    found = (mail for mail in mails if to is None or mail.to.lower() == to.lower())
    return list(islice(found, limit))


@run_in_thread
def get_sandbox_mail(mail_id: str) -> SandboxMail:
    """Return a mail.

    Raises:
        NotFound: the shop does not keep its mails, or has no such mail.
    """
    try:
        return _find_mailbox().get(mail_id)
    except KeyError as error:
        raise NotFound("mail") from error


def _find_mailbox() -> SandboxMailbox:
    setup = process.state().mail
    if setup is None or not isinstance(setup.sender, SandboxMailbox):
        raise NotFound("sandbox")
    return setup.sender
