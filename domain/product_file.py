"""A file of products, line by line: what it says, what is wrong with it, what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

# Enough to mend a file by, and few enough for an answer.
MOST_FAULTS_TOLD = 100


class LineFault(NamedTuple):
    """What is wrong with a line, in which column (None for the line as a whole)."""

    line: int
    column: str | None
    message: str


class Line(NamedTuple):
    """A line that is a product by its cells' shape, or the faults for which it is none.

    `number` is where it begins in the file, counted as a text editor does, from 1. After one that
    `is_last_readable` there may be more, which nobody can make out.
    """

    number: int
    cells: Mapping[str, str]
    faults: tuple[LineFault, ...] = ()
    is_last_readable: bool = False


@dataclass
class ImportReport:
    """What an import did, or would do: how many products, and the lines that are faulty."""

    dry_run: bool
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    faulty: int = 0
    faults: list[LineFault] = field(default_factory=list)

    def clear(self) -> None:
        """Forget all: it begins anew."""
        self.created = self.updated = self.unchanged = self.faulty = 0
        self.faults.clear()

    def tell(self, *faults: LineFault) -> None:
        """Count one faulty line, and keep its faults as far as there is room."""
        self.faulty += 1
        self.faults.extend(faults[: MOST_FAULTS_TOLD - len(self.faults)])
