"""Helpers shared by all benchmarks: comparisons, interleaved rounds, tables, the environment."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple, TypeVar

# The packages whose versions are printed.
_PACKAGES = (
    "connexion",
    "peewee",
    "psycopg2-binary",
    "uvicorn",
    "uvloop",
    "starlette",
    "jsonschema-rs",
    "orjson",
    "fastapi",
    "pydantic",
    "sqlalchemy",
    "psycopg",
)
# The columns of the text table that are not numbers: the description and the verdict.
_LEFT_ALIGNED = {0, 5}

Key = TypeVar("Key")
Sample = TypeVar("Sample")


class Comparison(NamedTuple):
    """One line of the table: Orderly's figure, a baseline from the same run, and their ratio."""

    what: str
    ours: str
    baseline: str
    ratio: float
    goal: str = ""
    reached: bool = True


def at_most(
    what: str, ours: float, baseline: float, goal: float | None, unit: Callable[[float], str]
) -> Comparison:
    """Compare figures that should be small. Without a goal the line is for information only."""
    line = Comparison(what, unit(ours), unit(baseline), ours / baseline)
    if goal is None:
        return line
    return line._replace(goal=f"<= {goal:g}x", reached=line.ratio <= goal)


def at_least(
    what: str, ours: float, baseline: float, goal: float | None, unit: Callable[[float], str]
) -> Comparison:
    """Compare figures that should be large. Without a goal the line is for information only."""
    line = Comparison(what, unit(ours), unit(baseline), ours / baseline)
    if goal is None:
        return line
    return line._replace(goal=f">= {goal:g}x", reached=line.ratio >= goal)


def microseconds(value: float) -> str:
    """Format a duration in microseconds."""
    return f"{value:.1f} us"


def milliseconds(value: float) -> str:
    """Format a duration in milliseconds."""
    return f"{value:.2f} ms"


def seconds(value: float) -> str:
    """Format a duration in seconds."""
    return f"{value:.2f} s"


def per_second(value: float) -> str:
    """Format a rate per second."""
    return f"{value:.0f}/s"


def mebibytes(value: float) -> str:
    """Format an amount of memory in MiB."""
    return f"{value:.0f} MiB"


def interleaved(cases: Mapping[Key, Callable[[], Sample]], rounds: int) -> dict[Key, list[Sample]]:
    """Measure each case once in every round; return the samples of each case.

    Interleaving spreads drift of the machine's speed over all cases. Every other round runs in
    reverse order, so that no case always follows the same other case.
    """
    samples: dict[Key, list[Sample]] = {key: [] for key in cases}
    for number in range(rounds):
        keys = list(cases) if number % 2 == 0 else list(reversed(cases))
        for key in keys:
            samples[key].append(cases[key]())
    return samples


def environment_description() -> str:
    """Describe the machine, its load at this moment, and the versions of the packages."""
    return "\n".join(
        [
            f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
            f"{platform.python_implementation()} {platform.python_version()}, "
            + ", ".join(_versions()),
            f"load average of the last minute: {os.getloadavg()[0]:.1f}",
        ]
    )


def table(comparisons: Iterable[Comparison]) -> str:
    """Return the comparisons as a text table."""
    rows = [("", "Orderly", "compared with", "ratio", "goal", "")]
    for one in comparisons:
        verdict = "" if one.reached else "missed"
        rows.append((one.what, one.ours, one.baseline, f"{one.ratio:.2f}x", one.goal, verdict))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in _LEFT_ALIGNED else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def markdown(comparisons: Iterable[Comparison]) -> str:
    """Return the comparisons as a Markdown table."""
    lines = ["| | Orderly | compared with | ratio | goal |", "|---|--:|--:|--:|--:|"]
    for one in comparisons:
        goal = one.goal if one.reached else f"{one.goal}, **missed**"
        lines.append(f"| {one.what} | {one.ours} | {one.baseline} | {one.ratio:.2f}x | {goal} |")
    return "\n".join(lines)


def report(comparisons: Iterable[Comparison]) -> None:
    """Print the environment, with the load average after the measurement, and the table."""
    print(f"{environment_description()}\n\n{table(comparisons)}")


def options(program: str) -> argparse.ArgumentParser:
    """Return a parser with the options common to all benchmarks."""
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the median is printed")
    parser.add_argument("--seconds", type=int, default=3, help="duration of each load test")
    return parser


def _versions() -> Iterator[str]:
    for package in _PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            continue


def _processor() -> str:
    try:
        description = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    return description.partition("model name\t: ")[2].partition("\n")[0] or platform.machine()
