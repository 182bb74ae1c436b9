"""Counts what the jobs of a worker do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from orderly.http.metrics import Sample


class _Counts:
    """What one job has done."""

    def __init__(self, now: float) -> None:
        self.batches = self.rows = self.failures = 0
        self.seconds = 0.0
        self.succeeded_at = now


class GivenUp(NamedTuple):
    """How many payments and refunds, and how many mails, the jobs have given up."""

    payment_checks: int = 0
    mails: int = 0


class JobMetrics:
    """Counts of each job. The lag of a job grows while it hangs or fails."""

    def __init__(self) -> None:
        self._jobs: dict[str, _Counts] = {}
        self._given_up: Callable[[], GivenUp] = GivenUp

    def start(self, names: Iterable[str], given_up: Callable[[], GivenUp]) -> None:
        """Count jobs that start to run now; `given_up` returns what they have given up."""
        now = time.monotonic()
        self._jobs = {name: _Counts(now) for name in names}
        self._given_up = given_up

    def count(self, name: str, rows: int | None, seconds: float) -> None:
        """Count a batch; `rows` is None if it failed."""
        counts = self._jobs[name]
        counts.batches += 1
        counts.seconds += seconds
        if rows is None:
            counts.failures += 1
        else:
            counts.rows += rows
            counts.succeeded_at = time.monotonic()

    def samples(self) -> Iterator[Sample]:
        """Yield what was counted."""
        now = time.monotonic()
        for name, counts in list(self._jobs.items()):
            job = (name,)
            yield Sample("orderly_job_batches_total", job, counts.batches)
            yield Sample("orderly_job_rows_total", job, counts.rows)
            yield Sample("orderly_job_failures_total", job, counts.failures)
            yield Sample("orderly_job_duration_seconds_total", job, counts.seconds)
            yield Sample("orderly_job_lag_seconds", job, now - counts.succeeded_at)
        given_up = self._given_up()
        yield Sample("orderly_payment_checks_given_up_total", (), given_up.payment_checks)
        yield Sample("orderly_mails_given_up_total", (), given_up.mails)
