"""A CSV file of products: its rows, their validation errors (faults), and the import report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

# Enough to fix a file, and few enough for one response.
MAX_REPORTED_FAULTS = 100


class LineFault(NamedTuple):
    """What is wrong with a line. `column` is None if the fault concerns the whole line."""

    line: int
    column: str | None
    message: str


class Line(NamedTuple):
    """A row of the file: its cells and its faults. Without faults, the cells are valid.

    `number` is the number of the line at which the row begins, from 1: a quoted cell can contain
    line breaks. If `is_last_readable` is true, the rest of the file cannot be parsed.
    """

    number: int
    cells: Mapping[str, str]
    faults: tuple[LineFault, ...] = ()
    is_last_readable: bool = False


@dataclass
class ImportReport:
    """What an import did, or what a dry run would have done. All counts are numbers of lines."""

    dry_run: bool
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    faulty: int = 0
    faults: list[LineFault] = field(default_factory=list)

    def reset(self) -> None:
        """Set all counts to zero and remove all faults."""
        self.created = self.updated = self.unchanged = self.faulty = 0
        self.faults.clear()

    def add_faulty_line(self, *faults: LineFault) -> None:
        """Count one faulty line, and store its faults, up to `MAX_REPORTED_FAULTS` in total."""
        self.faulty += 1
        self.faults.extend(faults[: MAX_REPORTED_FAULTS - len(self.faults)])
