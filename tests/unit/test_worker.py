"""The background worker: it runs due jobs, pauses when nothing is due, and stops on request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from domain.errors import Unavailable
from orderly.background import worker


def run_in_new_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_due_jobs_run_without_a_pause_and_failing_jobs_do_not_stop_the_others() -> None:
    stopped = threading.Event()
    remaining, failures = [7], [0]

    def due() -> int:
        remaining[0] -= 1
        if remaining[0] == 0:
            stopped.set()
        return remaining[0]

    def unavailable() -> int:
        failures[0] += 1
        raise Unavailable

    def broken() -> int:
        failures[0] += 1
        raise ZeroDivisionError

    worker.run(stopped, {"unavailable": unavailable, "broken": broken, "due": due}, pause=60)

    assert ([0], [14]) == (remaining, failures)


def test_the_worker_pauses_when_nothing_is_due_and_stops_during_the_pause() -> None:
    stopped, rounds = threading.Event(), [0]

    def nothing() -> int:
        rounds[0] += 1
        return 0

    thread = run_in_new_thread(lambda: worker.run(stopped, {"nothing": nothing}, pause=60))
    while not rounds[0]:
        time.sleep(0.001)
    stopped.set()
    thread.join(5)

    assert not thread.is_alive()
    assert [1] == rounds


def test_a_running_job_finishes_before_the_worker_stops() -> None:
    started, finished = threading.Event(), []

    def slow() -> int:
        started.set()
        time.sleep(0.2)
        finished.append(True)
        return 1

    with worker.in_thread({"slow": slow}) as start:
        start()
        started.wait()

    assert finished
    assert "worker" not in {thread.name for thread in threading.enumerate()}


def test_a_worker_that_was_never_started_can_be_stopped() -> None:
    with worker.in_thread({}):
        pass
