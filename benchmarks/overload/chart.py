"""Draws an overload measurement as SVG."""

from __future__ import annotations

from pathlib import Path

from benchmarks.charts import new_figure, save
from benchmarks.overload.figures import Figures
from benchmarks.overload.generator import BIN_SECONDS, KINDS, Outcome

_PER_POINT = 5
_BEFORE_SECONDS = 3.0


def draw(file: Path, outcome: Outcome, figures: Figures) -> None:
    """Draw what clients sent and what they got, by time."""
    _, begin, end, _ = next(one for one in outcome.phases if one[0] == "rush")
    last = next(one for one in outcome.phases if one[0] == "after")[2]
    figure = new_figure(9, 4)
    axes = figure.subplots()
    for label, event, color in (
        ("sent", "sent", "tab:gray"),
        ("answered in time", "ok", "tab:blue"),
        ("refused (503)", "refused", "tab:orange"),
        ("client gave up", "given up", "tab:red"),
    ):
        rates = _rates(outcome, event, begin - _BEFORE_SECONDS, last)
        axes.plot(
            [time - begin for time, _ in rates],
            [rate for _, rate in rates],
            label=label,
            color=color,
        )
    axes.axhline(figures.best, color="black", linewidth=0.8, linestyle="--", label="best rate")
    axes.axvspan(0, end - begin, color="tab:gray", alpha=0.12, linewidth=0)
    axes.set_xlabel("seconds since the overload began")
    axes.set_ylabel("requests per second")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right", fontsize=8)
    save(figure, file)


def _rates(outcome: Outcome, event: str, begin: float, end: float) -> list[tuple[float, float]]:
    """Return (time, rate per second), in half seconds."""
    first, last = int(begin / BIN_SECONDS), int(end / BIN_SECONDS)
    return [
        (
            one * BIN_SECONDS,
            sum(
                outcome.bins.get(f"{kind} {event}", {}).get(one + offset, 0)
                for kind in KINDS
                for offset in range(_PER_POINT)
            )
            / (_PER_POINT * BIN_SECONDS),
        )
        for one in range(first, last - _PER_POINT, _PER_POINT)
    ]
