"""Draws the results of the suite as SVG files, one for each part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, in inches. `save` writes it."""
    from matplotlib.figure import Figure  # noqa: PLC0415  # in the dependency group `benchmarks`

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, file: Path) -> None:
    """Write a figure as SVG. The same figure makes the same file."""
    from matplotlib import rc_context  # noqa: PLC0415  # in the dependency group `benchmarks`

    file.parent.mkdir(parents=True, exist_ok=True)
    with rc_context({"svg.hashsalt": "orderly"}):
        figure.savefig(file, format="svg", metadata={"Date": None})


def draw(directory: Path, part: str, comparisons: Sequence[Comparison]) -> None:
    """Draw the ratios of one part that have a goal, on a logarithmic scale."""
    with_goal = [one for one in comparisons if one.goal]
    figure = new_figure(9, 0.9 + 0.3 * len(with_goal))
    axes = figure.subplots()
    for position, one in enumerate(with_goal):
        kind, number = one.goal.split()
        goal = float(number.removesuffix("x"))
        axes.barh(position, one.ratio, color="tab:blue" if one.reached else "tab:orange")
        axes.plot([goal, goal], [position - 0.4, position + 0.4], color="black")
        axes.annotate(
            f" {one.ratio:.2f} (goal {kind} {goal:g})",
            (max(one.ratio, goal), position),
            verticalalignment="center",
            fontsize=8,
        )
    axes.set_xscale("log")
    smallest = min((one.ratio for one in with_goal), default=1)
    axes.set_xlim(smallest / 2, axes.dataLim.xmax * 4)  # with space for the text
    axes.set_yticks(range(len(with_goal)), [one.what for one in with_goal], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("ratio; black line: goal; orange: goal not reached")
    save(figure, directory / f"{part}.svg")
