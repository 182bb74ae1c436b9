"""Computes the figures of an overload measurement, and compares them with their goals."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from benchmarks.overload.generator import BIN_SECONDS, KINDS, Outcome

WINDOW_SECONDS = 5.0
MIN_GOODPUT = 0.85
MAX_RECOVERY_SECONDS = 2.0
MAX_FOR_GIVEN_UP = 0.01
MAX_HEALTH_SECONDS = 0.1
MAX_MEMORY_GROWTH = 1.1
_OK = 0.99


class Placed(Protocol):
    """Orders in the database."""

    @property
    def total(self) -> int:
        """All of them."""

    @property
    def for_given_up(self) -> int:
        """Those whose clients had given up."""


class Figures(NamedTuple):
    """The figures; rates are per second, memory is in MiB."""

    best: float
    rush_rate: float
    # Compared with the best rate
    windows: list[float]
    # The speed of the machine in the same windows, compared with that at the best rate
    speeds: list[float]
    by_kind: dict[str, str]
    recovery_seconds: float
    given_up: int
    placed: int
    for_given_up: int
    health: list[float]
    memory: tuple[float, float]
    latencies: dict[str, tuple[float, float]]
    lag_seconds: float

    def windows_by_speed(self) -> list[float]:
        """Return the goodput of each window, divided by the machine's speed in it."""
        return [goodput / speed for goodput, speed in zip(self.windows, self.speeds, strict=True)]

    def goals(self) -> list[tuple[str, str, bool]]:
        """Return what was measured, its value, and whether its goal was reached."""
        lowest = min(self.windows[1:], default=0.0)
        lowest_by_speed = min(self.windows_by_speed()[1:], default=0.0)
        share = self.for_given_up / max(1, self.placed)
        health = max(self.health, default=0.0)
        growth = self.memory[1] / self.memory[0]
        return [
            (
                f"lowest goodput after 5 s, goal {MIN_GOODPUT}",
                f"{lowest:.2f}",
                lowest >= MIN_GOODPUT,
            ),
            (
                f"the same, divided by the machine's speed, goal {MIN_GOODPUT}",
                f"{lowest_by_speed:.2f}",
                lowest_by_speed >= MIN_GOODPUT,
            ),
            (
                f"recovery, goal {MAX_RECOVERY_SECONDS} s",
                f"{self.recovery_seconds:.1f} s",
                self.recovery_seconds <= MAX_RECOVERY_SECONDS,
            ),
            (
                f"orders for clients who had given up, goal {MAX_FOR_GIVEN_UP:.0%}",
                f"{self.for_given_up} of {self.placed} ({share:.2%})",
                share <= MAX_FOR_GIVEN_UP,
            ),
            (
                f"slowest health check, goal {MAX_HEALTH_SECONDS * 1000:.0f} ms",
                f"{health * 1000:.0f} ms",
                health <= MAX_HEALTH_SECONDS,
            ),
            (
                f"memory at the end, compared with after 5 s, goal {MAX_MEMORY_GROWTH}",
                f"{self.memory[0]:.0f} to {self.memory[1]:.0f} MiB ({growth:.2f})",
                growth <= MAX_MEMORY_GROWTH,
            ),
        ]

    def reached(self) -> bool:
        """Return whether all goals were reached."""
        return all(reached for _, _, reached in self.goals())

    def text(self) -> str:
        """Return the figures as text."""
        health = sorted(self.health)
        lines = [
            f"best rate {self.best:.0f}/s; overload {self.rush_rate:.0f}/s",
            "goodput in windows of 5 s, compared with the best: "
            + " ".join(f"{one:.2f}" for one in self.windows),
            "speed of the machine: " + " ".join(f"{one:.2f}" for one in self.speeds),
            "goodput by speed: " + " ".join(f"{one:.2f}" for one in self.windows_by_speed()),
            *(f"{kind}: {text}" for kind, text in self.by_kind.items()),
            *(
                f"latency, {name}: median {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"
                for name, (p50, p99) in self.latencies.items()
            ),
            f"clients who gave up: {self.given_up}",
            f"health checks: {len(health)}, median {_quantile(health, 0.5) * 1000:.1f} ms,"
            f" p99 {_quantile(health, 0.99) * 1000:.1f} ms",
            f"the generator was late by at most {self.lag_seconds * 1000:.0f} ms",
            *(
                f"{'' if reached else 'MISSED '}{what}: {value}"
                for what, value, reached in self.goals()
            ),
        ]
        return "\n".join(lines)


def figures_of(
    outcome: Outcome,
    placed: Placed,
    memory: list[float],
    speeds: list[float],
    interval: float,
) -> Figures:
    """Compute the figures.

    `memory` and `speeds` are sampled at an interval, since shortly before the generator began.
    """
    _, begin, end, rate = next(one for one in outcome.phases if one[0] == "rush")
    count = int((end - begin) / WINDOW_SECONDS)
    windows = [
        _sum(outcome, "ok", begin + i * WINDOW_SECONDS, begin + (i + 1) * WINDOW_SECONDS)
        / WINDOW_SECONDS
        / outcome.best_rate
        for i in range(count)
    ]
    search = [one for one in outcome.phases if one[0] == "search"]
    best_phase = max(search, key=lambda one: _sum(outcome, "ok", one[1], one[2]))
    speed_at_best = _mean(speeds, best_phase[1], best_phase[2], interval)
    at = [memory[min(int(time / interval), len(memory) - 1)] for time in (begin + 5, end)]
    return Figures(
        best=outcome.best_rate,
        rush_rate=rate,
        windows=windows,
        speeds=[
            _mean(speeds, begin + i * WINDOW_SECONDS, begin + (i + 1) * WINDOW_SECONDS, interval)
            / speed_at_best
            for i in range(count)
        ],
        by_kind=_by_kind(outcome, begin, end),
        recovery_seconds=_recovery(outcome),
        given_up=sum(_sum(outcome, "given up", 0, 1e9, [kind]) for kind in KINDS),
        placed=placed.total,
        for_given_up=placed.for_given_up,
        health=[seconds for _, seconds in outcome.health],
        memory=(at[0], at[1]),
        latencies={
            name: (_quantile(sorted(values), 0.5), _quantile(sorted(values), 0.99))
            for name, values in outcome.latencies.items()
        },
        lag_seconds=outcome.max_lag_seconds,
    )


def _by_kind(outcome: Outcome, begin: float, end: float) -> dict[str, str]:
    events = ("sent", "ok", "refused", "given up", "lost", "not connected")
    return {
        f"{kind}s during the overload": ", ".join(
            f"{event} {_sum(outcome, event, begin, end, [kind])}" for event in events
        )
        for kind in KINDS
        if f"{kind} sent" in outcome.bins
    }


def _recovery(outcome: Outcome) -> float:
    """Return after how many seconds all requests of the last phase are answered in time."""
    _, begin, end, _ = next(one for one in outcome.phases if one[0] == "after")
    recovered = 0.0
    at = begin
    while at < end:
        sent = _sum(outcome, "sent", at, at + BIN_SECONDS)
        ok = _sum(outcome, "sent and ok", at, at + BIN_SECONDS)
        if ok < sent * _OK:
            recovered = at + BIN_SECONDS - begin
        at += BIN_SECONDS
    return recovered


def _sum(
    outcome: Outcome, event: str, begin: float, end: float, kinds: list[str] | None = None
) -> int:
    first, last = round(begin / BIN_SECONDS), round(end / BIN_SECONDS)
    return sum(
        number
        for kind in kinds or KINDS
        for one, number in outcome.bins.get(f"{kind} {event}", {}).items()
        if first <= one < last
    )


def _mean(samples: list[float], begin: float, end: float, interval: float) -> float:
    chosen = samples[round(begin / interval) : round(end / interval)]
    return sum(chosen) / len(chosen)


def _quantile(values: list[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)] if values else 0.0
