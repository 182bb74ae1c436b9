"""The worker: runs background jobs periodically, such as the expiry of unpaid orders.

Any number of workers can run concurrently; each skips rows that another one has locked.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import structlog
import uuid_utils

from database.use import measure
from domain.actor import Actor
from domain.errors import Unavailable
from orderly.background.job_metrics import GivenUp, JobMetrics
from orderly.background.stoppable_thread import stoppable_thread
from services import (
    idempotency_keys,
    mail_delivery,
    orders,
    payment_notifications,
    process,
    reconciliation,
    workers,
)

# Seconds to wait when no job is due. With the jitter, a job starts at most a fifth later.
PAUSE_SECONDS = 5.0
# How long to wait for a running job at shutdown. After that the process ends and PostgreSQL rolls
# back the open transaction.
_SHUTDOWN_SECONDS = 5.0

Job = Callable[[], int]


def _expire_orders() -> int:
    return orders.expire_orders(actor=_system_actor())


def _reconcile_payments() -> int:
    return reconciliation.reconcile_payments(actor=_system_actor())


def _reconcile_refunds() -> int:
    return reconciliation.reconcile_refunds(actor=_system_actor())


def _process_notifications() -> int:
    return payment_notifications.process_due(actor=_system_actor())


# Maps the name of the log event to the job. A job processes one batch per call and returns the
# number of rows; 0 means that nothing is due.
JOBS: Mapping[str, Job] = {
    "worker_heartbeat": workers.beat,
    "orders_expired": _expire_orders,
    "payments_reconciled": _reconcile_payments,
    "refunds_completed": _reconcile_refunds,
    "payment_notifications_applied": _process_notifications,
    "mails_sent": mail_delivery.send_due,
    "mails_deleted": mail_delivery.purge,
    "idempotency_keys_deleted": idempotency_keys.purge_idempotency_keys,
}


def run(
    stopped: threading.Event,
    jobs: Mapping[str, Job] = JOBS,
    pause: float = PAUSE_SECONDS,
    metrics: JobMetrics | None = None,
) -> None:
    """Run the jobs repeatedly until `stopped` is set. A batch that has started is finished.

    A job that fails is logged and retried after a pause, so the worker survives a database outage.
    """
    counts = metrics or JobMetrics()
    counts.start(jobs, _given_up)
    while not stopped.is_set():
        busy = [_run_job(name, job, counts) for name, job in jobs.items() if not stopped.is_set()]
        if not any(busy):
            # Jitter, so that several workers do not query the database at the same moment.
            stopped.wait(pause * random.uniform(0.8, 1.2))  # noqa: S311  # not a secret


@contextmanager
def in_thread(
    jobs: Mapping[str, Job] = JOBS, metrics: JobMetrics | None = None
) -> Iterator[Callable[[], None]]:
    """Yield a function that starts a worker in a thread; stop the worker after the block."""
    with stoppable_thread(
        "worker",
        lambda stopped: run(stopped, jobs, metrics=metrics),
        shutdown_seconds=_SHUTDOWN_SECONDS,
    ) as start:
        yield start


def _given_up() -> GivenUp:
    state = process.state()
    return GivenUp(state.payment_checks_given_up, state.mails_given_up)


def _run_job(name: str, job: Job, counts: JobMetrics) -> bool:
    """Run one batch of a job; return whether it processed any row, since more may then be due."""
    log = structlog.get_logger("orderly")
    measure(name)
    began, rows = time.monotonic(), None
    try:
        done = rows = job()
    except Unavailable:
        log.warning("job_postponed", job=name)
        return False
    except Exception as error:  # any error: the other jobs must still run
        log.error("job_failed", job=name, exc_info=error)
        return False
    finally:
        counts.count(name, rows, time.monotonic() - began)
    if done:
        log.info(name, count=done)
    return done > 0


def _system_actor() -> Actor:
    """Return the actor of a job; its request id identifies this run in the log."""
    request_id = str(uuid_utils.uuid7())
    return Actor(None, None, None, request_id=request_id, address="", user_agent="")
