"""The payment providers of this process, and calls to them.

A call may take seconds. It runs in a worker thread, outside of any transaction. Calls to each
provider can occupy only a part of the threads (bulkhead), so that a provider that does not respond
does not block other requests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from database.binding import database
from database.greenlets import run_in_thread
from domain.errors import PaymentProviderNotEnabled, PaymentProviderUnavailable
from integrations.payments.provider import PaymentProvider, ProviderUnavailable
from models.payment import MANUAL
from services import process

P = ParamSpec("P")
R = TypeVar("R")


def enabled() -> list[str]:
    """Return the names of the providers by which customers can pay; the first is the default."""
    names = list(process.state().payment_providers)
    return [*names, MANUAL] if process.configuration().manual_payment_expiry_minutes else names


def find(name: str) -> PaymentProvider:
    """Return a provider.

    Raises:
        PaymentProviderNotEnabled: this shop does not use it.
    """
    provider = process.state().payment_providers.get(name)
    if provider is None:
        raise PaymentProviderNotEnabled(provider=name, enabled=enabled())
    return provider


def call(provider: PaymentProvider, method: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a method of a provider in a worker thread.

    Raises:
        PaymentProviderUnavailable: there was no response, so the outcome is unknown, or too many
            calls are running, so the provider was not called.
        ProviderRefused: the provider has refused the call; it had no effect.
        RuntimeError: the caller is in a transaction.
    """
    if database.in_transaction():
        raise RuntimeError("a payment provider must not be called in a transaction")
    state = process.state()
    limit = state.configuration.payment_calls_at_once
    with state.payment_calls_in_flight.enter(provider.name, limit) as is_allowed:
        if not is_allowed:
            raise PaymentProviderUnavailable
        try:
            return run_in_thread(method)(*args, **kwargs)
        except ProviderUnavailable as error:
            raise PaymentProviderUnavailable from error
