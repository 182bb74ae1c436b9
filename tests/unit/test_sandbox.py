"""The sandbox: its file, its signatures, and how it delivers notifications."""

from __future__ import annotations

import json
import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from domain.money import Money
from domain.payments import PaymentState
from integrations.payments import sandbox_events, sandbox_sender
from integrations.payments.provider import (
    InvalidSignature,
    ProviderRefused,
    ProviderUnavailable,
)
from integrations.payments.sandbox import Outcome, SandboxProvider
from integrations.payments.sandbox_sender import MAX_ATTEMPTS, SandboxSender, pause_after
from integrations.payments.sandbox_store import FILE_NAME

EUR_30 = Money(3000, "EUR")


@pytest.fixture
def sandbox(tmp_path: Path) -> SandboxProvider:
    return SandboxProvider(tmp_path / "data")


def create(sandbox: SandboxProvider) -> str:
    return sandbox.create(uuid4(), EUR_30, order_number="A-1").reference


def types(sandbox: SandboxProvider) -> list[str]:
    return [json.loads(event.body)["type"] for event in sandbox.due_events(100)]


def test_only_the_owner_can_read_the_file(sandbox: SandboxProvider, tmp_path: Path) -> None:
    assert [] == sandbox.due_events(100)
    assert [] == list(tmp_path.iterdir())  # created when it is needed

    create(sandbox)

    assert 0o600 == stat.S_IMODE((tmp_path / "data" / FILE_NAME).stat().st_mode)


def test_all_processes_of_a_machine_share_the_file(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as executor:
        secrets = set(executor.map(lambda _: SandboxProvider(tmp_path).secret(), range(8)))
    reference = create(SandboxProvider(tmp_path))

    assert 1 == len(secrets)
    assert PaymentState.PENDING is SandboxProvider(tmp_path).fetch(reference).state


def test_a_file_that_cannot_be_used_is_an_outage(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("not a database" * 100)

    with pytest.raises(ProviderUnavailable):
        SandboxProvider(tmp_path).fetch("sandbox_1")


def test_a_file_that_another_process_locks_for_too_long_is_an_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrations.payments.sandbox_store._LOCK_SECONDS", 0.1)
    sandbox = SandboxProvider(tmp_path)
    reference = create(sandbox)
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(ProviderUnavailable):
        sandbox.fetch(reference)

    other.close()
    assert PaymentState.PENDING is sandbox.fetch(reference).state


@pytest.mark.parametrize(
    ("outcomes", "state", "failure_code", "notifications"),
    [
        (["SUCCEED"], "SUCCEEDED", None, ["payment.succeeded"]),
        (["SUCCEED", "SUCCEED"], "SUCCEEDED", None, ["payment.succeeded"]),
        (["DECLINE"], "FAILED", "card_declined", ["payment.failed"]),
        (["REQUIRE_ACTION"], "PENDING", None, ["payment.requires_action"]),
        (
            ["REQUIRE_ACTION", "REQUIRE_ACTION", "SUCCEED"],
            *("SUCCEEDED", None, ["payment.requires_action", "payment.succeeded"]),
        ),
        (
            ["REQUIRE_ACTION", "DECLINE"],
            *("FAILED", "card_declined", ["payment.requires_action", "payment.failed"]),
        ),
        (["SUCCEED_LATE"], "PROCESSING", None, ["payment.processing"]),
        (
            ["SUCCEED_LATE", "DECLINE"],
            *("FAILED", "card_declined", ["payment.processing", "payment.failed"]),
        ),
    ],
)
def test_outcomes_are_deterministic(
    tmp_path: Path,
    outcomes: list[str],
    state: str,
    failure_code: str | None,
    notifications: list[str],
) -> None:
    sandbox = SandboxProvider(tmp_path, late_seconds=3600)
    reference = create(sandbox)

    for outcome in outcomes:
        sandbox.settle(reference, Outcome(outcome))

    payment = sandbox.fetch(reference)
    assert (state, failure_code) == (payment.state, payment.failure_code)
    assert notifications == types(sandbox)


@pytest.mark.parametrize("first", ["SUCCEED", "DECLINE", "CANCEL"])
@pytest.mark.parametrize("second", Outcome)
def test_an_outcome_is_final(sandbox: SandboxProvider, first: str, second: Outcome) -> None:
    reference = create(sandbox)
    if first == "CANCEL":
        sandbox.cancel(uuid4(), reference)
        sandbox.cancel(uuid4(), reference)
    else:
        sandbox.settle(reference, Outcome(first))
    before = sandbox.fetch(reference)

    if second == first:
        sandbox.settle(reference, second)
    else:
        with pytest.raises(ProviderRefused):
            sandbox.settle(reference, second)

    assert before == sandbox.fetch(reference)
    assert 1 == len(types(sandbox))


def test_a_late_payment_succeeds_when_its_time_has_come(tmp_path: Path) -> None:
    sandbox = SandboxProvider(tmp_path, late_seconds=0)
    reference = create(sandbox)

    first = sandbox.settle(reference, Outcome.SUCCEED_LATE)

    assert PaymentState.PROCESSING is first.state
    assert ["payment.processing", "payment.succeeded"] == types(sandbox)
    assert PaymentState.SUCCEEDED is sandbox.fetch(reference).state


def test_the_page_asks_for_confirmation_while_that_is_needed(sandbox: SandboxProvider) -> None:
    payment_id = uuid4()
    reference = sandbox.create(payment_id, EUR_30, order_number="A-1").reference
    page = f"/sandbox/payments/{payment_id}"

    assert page == sandbox.fetch(reference).redirect_url
    asked = sandbox.settle(reference, Outcome.REQUIRE_ACTION)
    paid = sandbox.settle(reference, Outcome.SUCCEED)

    assert (f"{page}?step=confirm", None) == (asked.redirect_url, paid.redirect_url)


@pytest.mark.parametrize("age", [-301, 301])
def test_a_signature_from_another_time_is_refused(age: int) -> None:
    headers = sandbox_events.sign(b"key", b"{}", age=age)

    with pytest.raises(InvalidSignature):
        sandbox_events.verify(b"key", b"{}", headers)
    with pytest.raises(InvalidSignature):
        sandbox_events.verify(b"another key", b"{}", sandbox_events.sign(b"key", b"{}"))
    sandbox_events.verify(b"key", b"{}", sandbox_events.sign(b"key", b"{}", age=299))


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"1", b"{}", b'{"id": "1", "type": "x", "refund": {}}'),
        b'{"id": "1", "type": "x", "payment": {"reference": "x", "status": "UNKNOWN"}}',
    ],
)
def test_a_signed_body_of_another_format_is_ignored(sandbox: SandboxProvider, body: bytes) -> None:
    assert sandbox.interpret(body, sandbox_events.sign(sandbox.secret(), body)) is None


class Shop:
    """Receives notifications, and responds with the given statuses, then with 204."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.requests: list[tuple[bytes, dict[str, str]]] = []
        self.url = ""


@contextmanager
def run_shop(*statuses: int) -> Iterator[Shop]:
    shop = Shop(*statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            shop.requests.append((body, headers))
            self.send_response(shop.statuses.pop(0) if shop.statuses else 204)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    shop.url = f"http://127.0.0.1:{server.server_port}/notifications"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield shop
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def sender_to(sandbox: SandboxProvider, url: str, **options: str) -> SandboxSender:
    return SandboxSender(sandbox, url, pause_after=lambda _: 0, **options)


def test_a_notification_is_signed_and_delivered_once(sandbox: SandboxProvider) -> None:
    reference = create(sandbox)
    sandbox.settle(reference, Outcome.SUCCEED)

    with run_shop() as shop:
        sender = sender_to(sandbox, shop.url, host="shop.example.com")
        assert [1, 0] == [sender.send_due(), sender.send_due()]

    ((body, headers),) = shop.requests
    assert "shop.example.com" == headers["host"]
    event = sandbox.interpret(body, headers)
    assert event is not None
    assert event.payment is not None
    assert (reference, "SUCCEEDED") == (event.payment.reference, event.payment.state)


def test_a_notification_that_is_not_accepted_is_sent_again(sandbox: SandboxProvider) -> None:
    sandbox.settle(create(sandbox), Outcome.SUCCEED)

    with run_shop(503, 404, 301) as shop:
        delivered = [sender_to(sandbox, shop.url).send_due() for _ in range(5)]

    assert [0, 0, 0, 1, 0] == delivered
    assert 1 == len({body for body, _ in shop.requests})


def test_a_notification_is_given_up_after_some_attempts(sandbox: SandboxProvider) -> None:
    sandbox.settle(create(sandbox), Outcome.SUCCEED)
    sender = sender_to(sandbox, "http://127.0.0.1:9/")  # nothing listens there

    for _ in range(MAX_ATTEMPTS - 1):
        assert 0 == sender.send_due()
    assert 1 == len(types(sandbox))
    sender.send_due()

    assert [] == types(sandbox)
    assert 1 < sum(pause_after(attempts) for attempts in range(1, MAX_ATTEMPTS)) < 600


def test_the_sender_continues_after_an_outage_of_the_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_sender, "PAUSE_SECONDS", 0.01)
    (tmp_path / FILE_NAME).write_text("not a database" * 100)
    sandbox, stopped = SandboxProvider(tmp_path), threading.Event()
    with run_shop() as shop, capture_logs() as logs:
        sender = sender_to(sandbox, shop.url)
        thread = threading.Thread(target=sender.run, args=(stopped,))
        thread.start()
        while not logs:
            stopped.wait(0.01)
        (tmp_path / FILE_NAME).unlink()
        sandbox.settle(create(sandbox), Outcome.SUCCEED)
        while types(sandbox):
            stopped.wait(0.01)
        stopped.set()
        thread.join()

    assert {"sandbox_unavailable"} == {line["event"] for line in logs}
    assert 1 == len(shop.requests)
