"""A process that runs a use case of payments and is killed on the way, and the provider it calls.

The provider is in the memory of the test. The process calls it through a socket.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

from database import binding
from domain.actor import ADMIN, CLIENT, Actor
from services import orders, payment_notifications, payments, process, reconciliation, refunds
from services.configuration import Configuration
from tests.support.payment_provider import MemoryProvider
from tests.support.settings import SIGNING_KEY

_KEY = b"test"


@contextmanager
def shared_provider(provider: MemoryProvider, directory: Path) -> Iterator[str]:
    """Share a provider while the block runs; return its address."""
    address = str(directory / "provider.socket")
    with Listener(address, authkey=_KEY) as listener:
        threading.Thread(target=_serve, args=(listener, provider), daemon=True).start()
        yield address
        with suppress(OSError, EOFError), Client(address, authkey=_KEY) as connection:
            connection.send(None)  # the thread ends


def _serve(listener: Listener, provider: MemoryProvider) -> None:
    """Answer one call for each connection. A process that was killed sends nothing more."""
    while True:
        with listener.accept() as connection:
            request = connection.recv()
            if request is None:
                return
            call, args, kwargs = request
            connection.send(getattr(provider, call)(*args, **kwargs))


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


class _Killing:
    """Calls the shared provider, and kills the process before or after one of the calls."""

    name = "memory"

    def __init__(self, address: str, moment: str) -> None:
        self._address = address
        self._moment = moment

    def __getattr__(self, call: str) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            if self._moment == f"before {call}":
                _die()
            with Client(self._address, authkey=_KEY) as connection:
                connection.send((call, args, kwargs))
                answer = connection.recv()
            if self._moment == f"after {call}":
                _die()
            return answer

        return run


def _main(url: str, address: str, moment: str, use_case: str, user_id: str, *rest: str) -> None:
    provider: Any = _Killing(address, moment)
    binding.bind(url, max_connections=2)
    process.bind(Configuration(signing_key=SIGNING_KEY.encode()), {"memory": provider})
    system = Actor(None, None, None, "request-process", "", "")
    user = Actor(UUID(user_id), CLIENT, None, "request-process", "", "")
    admin = Actor(UUID(user_id), ADMIN, None, "request-process", "", "")
    if moment == "after storing":
        payment_notifications._process = lambda *_: _die()
    if use_case == "create_payment":
        payments.create_payment(
            actor=user, order_id=UUID(rest[0]), provider=None, idempotency_key="key"
        )
    elif use_case == "cancel_payment":
        payments.cancel_payment(actor=user, payment_id=UUID(rest[0]))
    elif use_case == "create_refund":
        refunds.create_refund(
            actor=admin, payment_id=UUID(rest[0]), amount=None, reason=None, idempotency_key="key"
        )
    elif use_case == "expire_orders":
        orders.expire_orders(actor=system)
    elif use_case == "reconcile_payments":
        reconciliation.reconcile_payments(actor=system)
    elif use_case == "reconcile_refunds":
        reconciliation.reconcile_refunds(actor=system)
    else:
        payment_notifications.receive_payment_notification(
            actor=system,
            provider="memory",
            body=rest[0].encode(),
            headers={"signature": "valid"},
        )


if __name__ == "__main__":
    _main(*sys.argv[1:])
