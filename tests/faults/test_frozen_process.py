"""A server process that is frozen in a transaction (SIGSTOP): its row locks are released."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from tests.support.accounts import demo_client
from tests.support.embedded_postgresql import connect
from tests.support.problems import assert_problem
from tests.support.processes import run_orderly, run_server, wait_until
from tests.support.shop import cancel_order, place_order

LOCK = "SELECT FROM stock WHERE product_id = %s FOR UPDATE"
CANCELLATION = "FROM pg_stat_activity WHERE query LIKE '/*cancel_order*/%'"
WAITS_FOR_LOCK = f"SELECT {CANCELLATION} AND wait_event_type = 'Lock'"
IS_IN_TRANSACTION = f"SELECT {CANCELLATION} AND state = 'idle in transaction'"


def test_a_process_frozen_in_a_transaction_releases_the_stock(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with (
        run_server(data_dir, "--demo", "--no-worker", ORDERLY_LOCK_TIMEOUT_MS="60000") as server,
        demo_client(server) as client,
        closing(connect(data_dir)) as locking,
        closing(connect(data_dir)) as observing,
    ):
        observing.autocommit = True
        look, lock = observing.cursor(), locking.cursor()
        found = client.get("/api/v1/products", params={"in_stock": "true"}).json()["items"]
        one, two = sorted(found, key=lambda product: product["id"])[:2]
        order = place_order(client, (one, 1), (two, 1)).json()

        def finds(query: str) -> bool:
            look.execute(query)
            return look.rowcount == 1

        with ThreadPoolExecutor(1) as clients:
            # The cancellation locks the first product, then waits for the second one.
            lock.execute(LOCK, (two["id"],))
            cancellation = clients.submit(cancel_order, client, order)
            wait_until(lambda: finds(WAITS_FOR_LOCK))
            server.send_signal(signal.SIGSTOP)
            try:
                locking.rollback()
                wait_until(lambda: finds(IS_IN_TRANSACTION))
                frozen_at = time.monotonic()
                look.execute("SET lock_timeout = '60s'")
                for product in (one, two):
                    look.execute(LOCK, (product["id"],))
                print(f"\nstock released after {time.monotonic() - frozen_at:.1f} s")  # noqa: T201
            finally:
                server.send_signal(signal.SIGCONT)
            assert_problem(cancellation.result(), 503, "service_unavailable")

        wait_until(lambda: server.get("/health/ready").status_code == 200)
        assert "PENDING" == client.get(f"/api/v1/orders/{order['id']}").json()["status"]
        assert 200 == cancel_order(client, order).status_code
        audit = run_orderly("audit", "--data-dir", str(data_dir), directory=tmp_path)
        assert (0, "") == (audit.returncode, audit.stderr)
