"""Sends the notifications of the sandbox in a thread of `orderly serve`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from integrations.payments.sandbox_sender import SandboxSender
from orderly.background.stoppable_thread import stoppable_thread
from orderly.payment_providers import sandbox_provider
from orderly.settings import Settings

_SHUTDOWN_SECONDS = 6.0


@contextmanager
def in_thread(settings: Settings, api_url: str) -> Iterator[Callable[[], None]]:
    """Yield a function that starts sending to the API at this URL; stop it after the block."""
    provider = sandbox_provider(settings)
    sender = SandboxSender(
        provider,
        f"{api_url}/payment-notifications/{provider.name}",
        # The server refuses requests for a host that is not in ORDERLY_ALLOWED_HOSTS.
        host=next(iter(settings.allowed_host_names), None),
    )
    with stoppable_thread("sandbox", sender.run, shutdown_seconds=_SHUTDOWN_SECONDS) as start:
        yield start
