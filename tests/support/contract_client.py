"""A client of the contract's examples that can use the database of the servers.

Over HTTP, some errors happen only if requests meet within milliseconds. With the database, each of
them is triggered for certain and at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from random import randint
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from orderly.verification.client import ExampleClient, OnResponse, Servers
from orderly.verification.coverage import Coverage
from orderly.verification.preparations import PREPARATIONS
from orderly.verification.requests import Request
from services import account_tokens, payment_notifications
from tests.support.contract import CONTRACT
from tests.support.stripe_server import sign


class DatabaseClient(ExampleClient):
    """Triggers errors by the database of the servers."""

    has_stripe = True

    def __init__(
        self,
        servers: Servers,
        database_url: str,
        admin: tuple[str, str],
        *,
        coverage: Coverage,
        on_response: OnResponse,
    ) -> None:
        super().__init__(
            CONTRACT,
            servers,
            admin,
            coverage=coverage,
            preparations=PREPARATIONS,
            on_response=on_response,
        )
        self._database_url = database_url
        self._limited_client = _client_with_own_address()
        self._held = ExitStack()

    def close(self) -> None:
        super().close()
        self._limited_client.close()
        self._held.close()

    def http_client(self, request: Request) -> httpx2.Client:
        return self._limited_client if request.to_strict_server else super().http_client(request)

    def hold(self, sql: str, *values: Any) -> Connection:
        """Run a statement in a transaction that stays open until it is committed, or the end."""
        connection = self._held.enter_context(closing(psycopg2.connect(self._database_url)))
        connection.cursor().execute(sql, values)
        return connection

    def commit_when_awaited(self, connection: Connection) -> None:
        """Commit as soon as a request waits for a lock that the transaction holds."""
        thread = Thread(target=self._commit_when_awaited, args=[connection])
        thread.start()
        self._held.callback(thread.join)

    def _commit_when_awaited(self, connection: Connection) -> None:
        with closing(psycopg2.connect(self._database_url)) as observing:
            observing.autocommit = True
            cursor = observing.cursor()
            is_awaited = False
            while not (is_awaited or self._client.is_closed):
                cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
                ((is_awaited,),) = cursor.fetchall()
        connection.commit()

    def mail_token(self, kind: str, email: str) -> str:
        """Create a token for Ada as the worker does when it sends the mail."""
        token = account_tokens.issue(
            kind,
            user_id=UUID(self.sign_in_ada().user_id),
            email=email,
            requested_at=datetime.now(UTC),
        )
        assert token
        return token

    def notification_headers(self, content: bytes) -> dict[str, str]:
        """Sign like each provider of the shop: they use different headers."""
        return {**super().notification_headers(content), **sign(content)}

    def add_payment_notifications(self) -> None:
        for _ in range(2):
            payment_notifications.report_given_up(
                provider="sandbox", subject=f"payment:{uuid4()}", detail="No definite answer."
            )

    def disable_user_of(self, request: Request) -> None:
        """Disable the user without ending the session, as in the moment before it has ended."""
        assert request.session
        disabled = "UPDATE users SET active = false WHERE id = %s"
        self.hold(disabled, request.session.user_id).commit()

    def hold_idempotency_key(self, request: Request) -> None:
        """Insert the key in a transaction that is still open, as that of a concurrent request."""
        assert request.session
        request.headers.setdefault("Idempotency-Key", str(uuid4()))
        self.hold(
            "INSERT INTO idempotency_key (user_id, key, fingerprint, order_id, created_at)"
            " VALUES (%s, %s, sha256(''), %s, now())",
            request.session.user_id,
            request.headers["Idempotency-Key"],
            self.create_order(self.sign_in_ada())["id"],
        )

    def create_product_during(self, request: Request) -> None:
        """Create the first product of the file in a transaction for which the import waits."""
        header, first = request.body.splitlines()[:2]
        row: Mapping[str, str] = dict(zip(header.split(","), first.split(","), strict=False))
        product = self.hold(
            "INSERT INTO product"
            " (id, sku, name, description, price, version, created_at, updated_at)"
            " VALUES (%s, %s, 'Mug', '', 1, 1, now(), now())",
            str(uuid4()),
            row["sku"],
        )
        self.commit_when_awaited(product)


def _client_with_own_address() -> httpx2.Client:
    """Return a client whose requests count against the limits of no other client.

    Linux accepts any address in 127.0.0.0/8 as the source. Prism does not forward the address.
    """
    address = f"127.{randint(1, 254)}.{randint(0, 255)}.{randint(1, 254)}"
    transport = httpx2.HTTPTransport(local_address=address)
    return httpx2.Client(timeout=60, transport=transport, headers={"X-Forwarded-For": address})
