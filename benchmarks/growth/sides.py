"""Asks the same of a large shop and of a small one, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from models import database
from models.pool import ConnectionPool

Call = Callable[[], object]


def beside(
    large: ConnectionPool,
    of_large: Call,
    small: ConnectionPool,
    of_small: Call,
    rounds: int,
    calls: int,
) -> tuple[float, float]:
    """Return the median milliseconds of a call in either shop."""
    shops = ((large, of_large), (small, of_small))
    found: list[list[float]] = [[], []]
    for number in range(rounds + 1):
        taken: list[list[float]] = [[], []]
        for _ in range(calls):
            for place, (pool, call) in enumerate(shops):
                database.database.pool = pool
                taken[place].append(_milliseconds(call))
        if number:  # the first round warms up
            for place, times in enumerate(taken):
                found[place].append(statistics.median(times))
    return statistics.median(found[0]), statistics.median(found[1])


def _milliseconds(call: Call) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000
