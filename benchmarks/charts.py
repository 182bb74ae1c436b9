"""Draws the results of the suite as PNG files in `benchmarks/charts/`, one for each part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.measuring import Comparison

DIRECTORY = Path(__file__).with_name("charts")


def draw(part: str, comparisons: Sequence[Comparison]) -> Path | None:
    """Draw the ratios and goals of one part; return the file, or None without matplotlib."""
    try:
        from matplotlib import use  # noqa: PLC0415  # in the dependency group `benchmarks`
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        return None
    use("agg")
    figure = Figure(figsize=(11, 1.2 + 0.28 * len(comparisons)), layout="constrained")
    axes = figure.subplots()
    positions = range(len(comparisons))
    colors = ["tab:blue" if one.reached else "tab:red" for one in comparisons]
    axes.barh(positions, [one.ratio for one in comparisons], color=colors)
    for position, one in enumerate(comparisons):
        if one.goal:
            goal = float(one.goal.split()[1].removesuffix("x"))
            axes.plot([goal, goal], [position - 0.4, position + 0.4], color="black")
    axes.set_yticks(positions, [one.what for one in comparisons], fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("ratio; the black line is the goal")
    DIRECTORY.mkdir(exist_ok=True)
    file = DIRECTORY / f"{part}.png"
    figure.savefig(file, dpi=110)
    return file
