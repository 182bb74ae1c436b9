"""Delivers the sandbox's notifications to Orderly over HTTP, like a payment provider."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog

from integrations.payments import sandbox_events
from integrations.payments.provider import ProviderUnavailable
from integrations.payments.sandbox import SandboxProvider
from integrations.payments.sandbox_store import StoredEvent

# How often to look for new events.
PAUSE_SECONDS = 0.25
# The pauses between attempts grow from 1 to 60 seconds: in total about four minutes.
MAX_ATTEMPTS = 10
_MAX_PAUSE_SECONDS = 60

_TIMEOUT_SECONDS = 5.0
_BATCH = 20


def pause_after(attempts: int) -> float:
    """Return the seconds to wait after so many failed attempts."""
    return float(min(2 ** (attempts - 1), _MAX_PAUSE_SECONDS))


class SandboxSender:
    """Sends the events of a sandbox to a URL. `host` replaces the `Host` header, if it is given."""

    def __init__(
        self,
        provider: SandboxProvider,
        url: str,
        *,
        host: str | None = None,
        pause_after: Callable[[int], float] = pause_after,
    ) -> None:
        self._provider = provider
        self._url = urlsplit(url)
        self._headers = {"Content-Type": "application/json", **({"Host": host} if host else {})}
        self._pause_after = pause_after

    def run(self, stopped: threading.Event) -> None:
        """Deliver events until `stopped` is set."""
        while not stopped.wait(PAUSE_SECONDS):
            try:
                self.send_due(stopped)
            except ProviderUnavailable as error:
                structlog.get_logger("orderly").warning(
                    "sandbox_unavailable", reason=str(error.__cause__)
                )

    def send_due(self, stopped: threading.Event | None = None) -> int:
        """Try to deliver the events that are due; return how many were delivered.

        An event that was not delivered in `MAX_ATTEMPTS` attempts is logged and given up: the
        reconciliation job asks for the payment's state anyway.
        """
        delivered = 0
        for event in self._provider.due_events(_BATCH):
            if stopped is not None and stopped.is_set():
                break
            if self._is_accepted(event):
                self._provider.complete_event(event.id)
                delivered += 1
            elif event.attempts + 1 >= MAX_ATTEMPTS:
                self._provider.complete_event(event.id)
                structlog.get_logger("orderly").warning(
                    "sandbox_notification_given_up", event_id=event.id
                )
            else:
                self._provider.postpone_event(event.id, self._pause_after(event.attempts + 1))
        return delivered

    def _is_accepted(self, event: StoredEvent) -> bool:
        signature = sandbox_events.sign(self._provider.secret(), event.body)
        connection = http.client.HTTPConnection(
            self._url.hostname or "", self._url.port, timeout=_TIMEOUT_SECONDS
        )
        try:
            connection.request("POST", self._url.path, event.body, {**self._headers, **signature})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return 200 <= status < 300  # noqa: PLR2004  # successful (RFC 9110, section 15.3)
