"""A worker is busy while something is due, rests when nothing is, and stops for nobody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from domain.errors import Unavailable
from orderly.background import worker


def finished(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_what_is_due_is_done_without_a_pause_and_what_fails_stops_nothing() -> None:
    stopped = threading.Event()
    left, failures = [7], [0]

    def due() -> int:
        left[0] -= 1
        if left[0] == 0:
            stopped.set()
        return left[0]

    def away() -> int:
        failures[0] += 1
        raise Unavailable

    def broken() -> int:
        failures[0] += 1
        raise ZeroDivisionError

    worker.run(stopped, {"away": away, "broken": broken, "due": due}, pause=60)

    assert ([0], [14]) == (left, failures)


def test_it_rests_when_nothing_is_due_and_is_stopped_at_once() -> None:
    stopped, rounds = threading.Event(), [0]

    def nothing() -> int:
        rounds[0] += 1
        return 0

    thread = finished(lambda: worker.run(stopped, {"nothing": nothing}, pause=60))
    while not rounds[0]:
        time.sleep(0.001)
    stopped.set()
    thread.join(5)

    assert not thread.is_alive()
    assert [1] == rounds


def test_what_has_begun_is_finished_before_it_stops() -> None:
    begun, ended = threading.Event(), []

    def slow() -> int:
        begun.set()
        time.sleep(0.2)
        ended.append(True)
        return 1

    with worker.in_thread({"slow": slow}) as start:
        start()
        begun.wait()

    assert ended
    assert "worker" not in {thread.name for thread in threading.enumerate()}


def test_one_that_was_never_started_needs_no_stopping() -> None:
    with worker.in_thread({}):
        pass
