"""Payments by Stripe: PaymentIntents and refunds, through Stripe's own library.

Needs the package `stripe` (`pip install 'orderly-api[stripe]'`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from domain.money import Money, exponent
from domain.payments import PaymentState, RefundState
from integrations.payments.provider import (
    InvalidSignature,
    ProviderEvent,
    ProviderPayment,
    ProviderRefund,
    ProviderRefused,
    ProviderUnavailable,
)

if TYPE_CHECKING:
    import stripe

# The version of Stripe's API that this module uses, whatever the account's default version is.
API_VERSION = "2026-10-28.endive"
# The connect timeout and the read timeout. With one retry a call takes at most about 15 s.
_TIMEOUT_SECONDS = (3.05, 4.0)
_RETRIES = 1

# https://docs.stripe.com/currencies: the currencies for which Stripe uses another number of
# decimals than ISO 4217.
_DECIMALS = {"ISK": 2, "UGX": 2, "MGA": 0}
# In currencies with three decimals, Stripe accepts only multiples of ten.
_THREE_DECIMALS = 3

_PAYMENT_STATES = {
    # After a decline the customer may try again with another card.
    "requires_payment_method": PaymentState.PENDING,
    "requires_confirmation": PaymentState.PENDING,
    "requires_action": PaymentState.PENDING,
    "processing": PaymentState.PROCESSING,
    "succeeded": PaymentState.SUCCEEDED,
    "canceled": PaymentState.CANCELED,
}
_REFUND_STATES = {
    "pending": RefundState.PENDING,
    "requires_action": RefundState.PENDING,
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
}


class StripeProvider:
    """Stripe, with the keys of one account.

    `api_base` replaces the URL of Stripe's server, for tests.

    Raises:
        ModuleNotFoundError: the package `stripe` is not installed.
    """

    name = "stripe"

    def __init__(
        self, secret_key: str, webhook_secret: str, *, api_base: str | None = None
    ) -> None:
        import stripe  # noqa: PLC0415  # an optional dependency, and slow to import

        self._stripe = stripe
        self._webhook_secret = webhook_secret
        self._client = stripe.StripeClient(
            secret_key,
            stripe_version=API_VERSION,
            max_network_retries=_RETRIES,
            http_client=stripe.RequestsClient(timeout=_TIMEOUT_SECONDS),
            base_addresses={"api": api_base} if api_base else None,
        )

    def check(self) -> None:
        """Verify the key: list one PaymentIntent, which needs the same permission as `fetch`."""
        try:
            self._call(lambda: self._client.v1.payment_intents.list({"limit": 1}))
        except ProviderUnavailable as error:
            refusals = (self._stripe.AuthenticationError, self._stripe.PermissionError)
            if isinstance(error.__cause__, refusals):
                raise ProviderRefused("key_refused") from error
            raise

    def create(self, payment_id: UUID, amount: Money, *, order_number: str) -> ProviderPayment:
        """Create a PaymentIntent; the browser confirms it with its client secret."""
        parameters: Any = {
            "amount": _to_stripe(amount),
            "currency": amount.currency.lower(),
            "automatic_payment_methods": {"enabled": True},
            "description": f"Order {order_number}",
            "metadata": {"payment_id": str(payment_id), "order_number": order_number},
        }
        options: Any = {"idempotency_key": f"payment-{payment_id}"}
        return _payment(
            self._call(lambda: self._client.v1.payment_intents.create(parameters, options))
        )

    def cancel(self, payment_id: UUID, reference: str) -> ProviderPayment:
        """Cancel a PaymentIntent. If it has succeeded, Stripe refuses: then call `fetch`."""
        del payment_id
        return _payment(self._call(lambda: self._client.v1.payment_intents.cancel(reference)))

    def fetch(self, reference: str) -> ProviderPayment:
        """Return a PaymentIntent."""
        return _payment(self._call(lambda: self._client.v1.payment_intents.retrieve(reference)))

    def refund(self, refund_id: UUID, reference: str, amount: Money) -> ProviderRefund:
        """Refund a PaymentIntent in part or completely."""
        parameters: Any = {
            "payment_intent": reference,
            "amount": _to_stripe(amount),
            "metadata": {"refund_id": str(refund_id)},
        }
        options: Any = {"idempotency_key": f"refund-{refund_id}"}
        return _refund(self._call(lambda: self._client.v1.refunds.create(parameters, options)))

    def fetch_refund(self, reference: str) -> ProviderRefund:
        """Return a refund."""
        return _refund(self._call(lambda: self._client.v1.refunds.retrieve(reference)))

    def interpret(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent | None:
        """Verify and parse a webhook event of a PaymentIntent or a refund; None for other objects.

        Raises:
            InvalidSignature: the signature is missing, wrong, or older than five minutes.
        """
        try:
            self._stripe.WebhookSignature.verify_header(
                body,
                headers.get("stripe-signature"),
                self._webhook_secret,
                tolerance=self._stripe.Webhook.DEFAULT_TOLERANCE,
            )
        except (self._stripe.SignatureVerificationError, UnicodeDecodeError) as error:
            raise InvalidSignature from error
        # Not `construct_event`: it raises AttributeError for JSON that is not an object.
        try:
            return _event(orjson.loads(body))
        except orjson.JSONDecodeError:
            return None

    def _call(self, call: Callable[[], stripe.StripeObject]) -> dict[str, Any]:
        """Call Stripe, and return the object in its response.

        Raises:
            ProviderRefused: a definite refusal.
            ProviderUnavailable: no response, or an error that says nothing about the outcome.
        """
        errors = self._stripe
        try:
            # The str() of a StripeObject is its JSON.
            answer: dict[str, Any] = json.loads(str(call()))
        except (errors.CardError, errors.InvalidRequestError) as error:
            raise ProviderRefused(error.code or "refused") from error
        except errors.StripeError as error:
            # Also a wrong key or a rate limit: the payment itself was not refused.
            raise ProviderUnavailable from error
        return answer


def _event(event: Any) -> ProviderEvent | None:
    content = event
    for name in ("data", "object"):
        content = content.get(name) if isinstance(content, dict) else None
    kind = content.get("object") if isinstance(content, dict) else None
    if kind == "payment_intent":
        return ProviderEvent(
            event["id"],
            event["type"],
            payment=_payment(content),
            payment_id=_id(content, "payment_id"),
        )
    if kind == "refund" and content.get("payment_intent"):
        return ProviderEvent(
            event["id"],
            event["type"],
            refund=_refund(content),
            refund_id=_id(content, "refund_id"),
        )
    return None


def _payment(intent: Mapping[str, Any]) -> ProviderPayment:
    state = _PAYMENT_STATES.get(intent["status"], PaymentState.PROCESSING)
    error = intent.get("last_payment_error") or {}
    return ProviderPayment(
        intent["id"],
        state,
        _from_stripe(intent["amount"], intent["currency"]),
        client_secret=intent.get("client_secret") if state is PaymentState.PENDING else None,
        failure_code=error.get("decline_code") or error.get("code"),
    )


def _refund(refund: Mapping[str, Any]) -> ProviderRefund:
    return ProviderRefund(
        refund["id"],
        refund["payment_intent"],
        _REFUND_STATES.get(refund["status"], RefundState.PENDING),
        _from_stripe(refund["amount"], refund["currency"]),
        failure_code=refund.get("failure_reason"),
    )


def _id(content: Mapping[str, Any], name: str) -> UUID | None:
    """Return our id in the metadata; None if the object was not created by Orderly."""
    with suppress(ValueError):
        return UUID((content.get("metadata") or {}).get(name, ""))
    return None


def _to_stripe(amount: Money) -> int:
    """Return an amount in Stripe's unit.

    Raises:
        ProviderRefused: Stripe cannot take this amount exactly.
    """
    decimals = exponent(amount.currency)
    scaled = amount.amount * _power_of_ten(_DECIMALS.get(amount.currency, decimals))
    converted, rest = divmod(scaled, _power_of_ten(decimals))
    if rest or (decimals == _THREE_DECIMALS and converted % 10):
        raise ProviderRefused("amount_not_supported")
    return converted


def _from_stripe(amount: int, currency: str) -> Money:
    code = currency.upper()
    decimals = exponent(code)
    stripe_unit = _power_of_ten(_DECIMALS.get(code, decimals))
    return Money(amount * _power_of_ten(decimals) // stripe_unit, code)


def _power_of_ten(digits: int) -> int:
    power: int = 10**digits
    return power
