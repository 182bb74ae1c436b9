"""What all parts share: figures side by side, medians of rounds, and where they were measured."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple, TypeVar

_PACKAGES = (
    *("connexion", "peewee", "psycopg2-binary", "uvicorn", "uvloop", "starlette", "jsonschema-rs"),
    *("orjson", "fastapi", "pydantic", "sqlalchemy", "psycopg"),
)

Key = TypeVar("Key")
Sample = TypeVar("Sample")


class Comparison(NamedTuple):
    """One line of the table: how two figures of one run stand to each other."""

    what: str
    ours: str
    theirs: str
    ratio: float
    goal: str = ""
    reached: bool = True


def at_most(
    what: str, ours: float, theirs: float, goal: float | None, unit: Callable[[float], str]
) -> Comparison:
    """Compare what should be small; without a goal it is told for its interest alone."""
    line = Comparison(what, unit(ours), unit(theirs), ours / theirs)
    if goal is None:
        return line
    return line._replace(goal=f"<= {goal:g}x", reached=line.ratio <= goal)


def at_least(
    what: str, ours: float, theirs: float, goal: float | None, unit: Callable[[float], str]
) -> Comparison:
    """Compare what should be large; without a goal it is told for its interest alone."""
    line = Comparison(what, unit(ours), unit(theirs), ours / theirs)
    if goal is None:
        return line
    return line._replace(goal=f">= {goal:g}x", reached=line.ratio >= goal)


def microseconds(value: float) -> str:
    """Spell a time."""
    return f"{value:.1f} us"


def milliseconds(value: float) -> str:
    """Spell a time."""
    return f"{value:.2f} ms"


def seconds(value: float) -> str:
    """Spell a time."""
    return f"{value:.2f} s"


def per_second(value: float) -> str:
    """Spell a rate."""
    return f"{value:.0f}/s"


def mebibytes(value: float) -> str:
    """Spell an amount of memory."""
    return f"{value:.0f} MiB"


def alternating(cases: Mapping[Key, Callable[[], Sample]], rounds: int) -> dict[Key, list[Sample]]:
    """Measure each case once a round, so that a drift of the machine's speed meets them all.

    Every other round goes backwards: none is always measured just after the same other one.
    """
    samples: dict[Key, list[Sample]] = {key: [] for key in cases}
    for number in range(rounds):
        keys = list(cases) if number % 2 == 0 else list(reversed(cases))
        for key in keys:
            samples[key].append(cases[key]())
    return samples


def surroundings() -> str:
    """Describe the machine and what runs on it."""
    return "\n".join(
        [
            f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
            f"{platform.python_implementation()} {platform.python_version()}, "
            + ", ".join(_versions()),
            f"load average before the run: {os.getloadavg()[0]:.1f}",
        ]
    )


def table(comparisons: Iterable[Comparison]) -> str:
    """Return the comparisons as a table."""
    rows = [("", "Orderly", "beside", "ratio", "goal", "")]
    for one in comparisons:
        verdict = "" if one.reached else "missed"
        rows.append((one.what, one.ours, one.theirs, f"{one.ratio:.2f}x", one.goal, verdict))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place in {0, 5} else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def markdown(comparisons: Iterable[Comparison]) -> str:
    """Return the comparisons as a table for a page of the documentation."""
    lines = ["| | Orderly | beside | ratio | goal |", "|---|--:|--:|--:|--:|"]
    for one in comparisons:
        goal = one.goal if one.reached else f"{one.goal}, **missed**"
        lines.append(f"| {one.what} | {one.ours} | {one.theirs} | {one.ratio:.2f}x | {goal} |")
    return "\n".join(lines)


def report(comparisons: Iterable[Comparison]) -> None:
    """Print where it was measured and the table."""
    print(f"{surroundings()}\n\n{table(comparisons)}")


def options(program: str) -> argparse.ArgumentParser:
    """Return a parser of what each part can be told."""
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("--rounds", type=int, default=5, help="the median of so many is told")
    parser.add_argument("--seconds", type=int, default=3, help="that each takes under load")
    return parser


def _versions() -> Iterator[str]:
    for package in _PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            continue


def _processor() -> str:
    try:
        told = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    return told.partition("model name\t: ")[2].partition("\n")[0] or platform.machine()
