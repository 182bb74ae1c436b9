"""Draws the results of the suite as SVG files, one for each part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring import Comparison


def draw(directory: Path, part: str, comparisons: Sequence[Comparison]) -> None:
    """Draw the ratios of one part that have a goal, on a logarithmic scale."""
    from matplotlib import rcParams, use  # noqa: PLC0415  # in the dependency group `benchmarks`
    from matplotlib.figure import Figure  # noqa: PLC0415

    use("svg")
    rcParams["svg.hashsalt"] = "orderly"  # the same results make the same file
    with_goal = [one for one in comparisons if one.goal]
    figure = Figure(figsize=(9, 0.9 + 0.3 * len(with_goal)), layout="constrained")
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
    directory.mkdir(parents=True, exist_ok=True)
    figure.savefig(directory / f"{part}.svg", metadata={"Date": None})
