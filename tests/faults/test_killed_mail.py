"""A worker that is killed while it sends mails loses none, and doubles at most one a kill."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from uuid_utils.compat import uuid7

from domain.actor import ADMIN
from domain.mail import KINDS
from services import orders, password_resets, process, products, users
from tests.support.database import Sql
from tests.support.processes import ROOT, wait_until
from tests.support.services import make_actor
from tests.support.smtp_server import SmtpServer, smtp_server

RUNS = int(os.environ.get("PYTEST_MAIL_RUNS", "8"))
MAILS = 12


@contextmanager
def sending(url: str, server: SmtpServer) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker that sends mails; kill it after the block."""
    command = [sys.executable, "-m", "tests.support.mail_process"]
    with subprocess.Popen(
        [*command, url, str(server.port), str(server.ca_file)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def cause_mails() -> None:
    """Place orders of a new customer, and request a password reset: each causes a mail."""
    name = f"{uuid7().hex}@example.com"
    user = users.create_admin(email=name, name="Ada", password="blackberry strudel")
    actor = make_actor(user.id, ADMIN)
    mug = products.create_product(
        actor=actor, sku=user.id.hex, name="Mug", description="", price=1000, stock=MAILS
    ).product
    password_resets.request_password_reset(actor=actor, email=user.email)
    for _ in range(MAILS - 1):
        orders.create_order(actor=actor, items=[(mug.id, 1)], idempotency_key=None)


def undelivered(sql: Sql) -> list[UUID]:
    return [row[0] for row in sql("SELECT subject_id FROM mail WHERE outcome IS NULL")]


def test_killed_workers_lose_no_mail_and_double_at_most_one_each(
    shop: str, runtime_url: str, sql: Sql, tmp_path: Path
) -> None:
    del shop
    process.bind(replace(process.configuration(), mail_kinds=frozenset(KINDS)))
    random_ = random.Random(7)  # not a secret
    kills = 0
    with smtp_server(tmp_path) as server:
        for _ in range(RUNS):
            cause_mails()
            enough = len(server.messages) + 1 + random_.randrange(MAILS)
            with sending(runtime_url, server) as worker:
                wait_until(lambda enough=enough: len(server.messages) >= enough)
                time.sleep(random_.uniform(0, 0.01))
                kills += bool(undelivered(sql))
                worker.kill()
                worker.wait()
            # The claim of the killed worker would end after LEASE_SECONDS.
            sql("UPDATE mail SET next_attempt_at = now() WHERE outcome IS NULL")
        with sending(runtime_url, server):
            wait_until(lambda: not undelivered(sql))

        received = Counter(message["Message-ID"] for message in server.messages)

    expected = sql("SELECT lower(kind), subject_id FROM mail WHERE outcome = 'SENT'")
    assert {f"<{kind}.{id_.hex}@example.com>" for kind, id_ in expected} == received.keys()
    assert len(expected) == RUNS * MAILS
    assert max(received.values()) <= 2
    assert sum(received.values()) - len(received) <= kills
