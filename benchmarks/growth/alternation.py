"""Alternates the same calls between a large and a small shop, and selects the worst ratios."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from benchmarks.measuring import Comparison
from database import binding
from database.pool import ConnectionPool

Call = Callable[[], object]


@contextmanager
def pin_to_one_core() -> Iterator[None]:
    """Pin this process, and those started within the block, to one core, if the system supports it.

    Otherwise calls vary: a call takes twice as long if the scheduler runs the client and the
    server process on different cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def median_milliseconds(
    large: ConnectionPool,
    of_large: Call,
    small: ConnectionPool,
    of_small: Call,
    rounds: int,
    calls: int,
) -> tuple[float, float]:
    """Return the median milliseconds of a call in the large and in the small shop."""
    shops = ((large, of_large), (small, of_small))
    round_medians: list[list[float]] = [[], []]
    for number in range(rounds + 1):
        samples: list[list[float]] = [[], []]
        for _ in range(calls):
            for index, (pool, call) in enumerate(shops):
                binding.database.pool = pool
                samples[index].append(_milliseconds(call))
        if number:  # the first round warms up
            for index, times in enumerate(samples):
                round_medians[index].append(statistics.median(times))
    return statistics.median(round_medians[0]), statistics.median(round_medians[1])


def worst(lines: Iterable[Comparison]) -> list[Comparison]:
    """Return the line with the largest ratio of each kind of list, and all lines without a list."""
    kinds: dict[str, Comparison] = {}
    for line in lines:
        kind = "own list" if line.what.startswith("own list") else line.what.partition(":")[0]
        kinds[kind] = max(line, kinds.get(kind, line), key=lambda one: one.ratio)
    return [
        line._replace(what=f"the worst of: {line.what}")
        if "list" in line.what or ":" in line.what
        else line
        for line in kinds.values()
    ]


def _milliseconds(call: Call) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000
