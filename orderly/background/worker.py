"""The background work of a shop: what is due by the clock, not because somebody asks.

Any number of workers may be at it: each takes what no other is just working on.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import structlog
import uuid_utils

from domain.actor import Actor
from domain.errors import Unavailable
from services import idempotency_keys, orders

# How long to rest when nothing is due, in seconds; what is due by the minute can be so late.
PAUSE_SECONDS = 5.0
# What has begun by then is rolled back by the end of the process: each order is cancelled or not.
_LONGEST_GOODBYE_SECONDS = 5.0

Chore = Callable[[], int]


def _expire_orders() -> int:
    return orders.expire_orders(actor=_system())


# Each does a small part of its work at a time, and returns how much: 0 when nothing is due.
CHORES: Mapping[str, Chore] = {
    "orders_expired": _expire_orders,
    "idempotency_keys_deleted": idempotency_keys.purge_idempotency_keys,
}


def work(
    stopped: threading.Event, chores: Mapping[str, Chore] = CHORES, pause: float = PAUSE_SECONDS
) -> None:
    """Do the chores, over and over, until stopped; what has been begun is finished first.

    A chore that fails is logged and tried again after a pause; so the database may come and go.
    """
    while not stopped.is_set():
        busy = [_do(name, chore) for name, chore in chores.items() if not stopped.is_set()]
        if not any(busy):
            # Not in step, so that many workers do not all come at the same moment.
            stopped.wait(pause * random.uniform(0.8, 1.2))  # noqa: S311  # no secret


@contextmanager
def beside(chores: Mapping[str, Chore] = CHORES) -> Iterator[Callable[[], None]]:
    """Give a function that starts a worker in a thread, which is stopped when the block is left."""
    stopped = threading.Event()
    thread = threading.Thread(target=work, args=(stopped, chores), name="worker", daemon=True)
    try:
        yield thread.start
    finally:
        stopped.set()
        if thread.ident is not None:
            thread.join(_LONGEST_GOODBYE_SECONDS)


def _do(name: str, chore: Chore) -> bool:
    """Do a chore; tell whether there may be more of it at once."""
    log = structlog.get_logger("orderly")
    try:
        done = chore()
    except Unavailable:
        log.warning("chore_put_off", chore=name)
        return False
    except Exception as error:  # whatever it is, the other chores go on
        log.error("chore_failed", chore=name, exc_info=error)
        return False
    if done:
        log.info(name, count=done)
    return done > 0


def _system() -> Actor:
    """Return the shop itself; each round of its work has an id to find it by in the log."""
    request_id = str(uuid_utils.uuid7())
    return Actor(None, None, None, request_id=request_id, address="", user_agent="")
