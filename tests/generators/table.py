"""The table of generators and readers, which the tests fill in while they run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.generators.catalogue import JAVA, POSTMAN, PYTHON, READERS, TYPESCRIPT, version_of

GENERATES: Final = "generates"
COMPILES: Final = "compiles strictly"
WORKS: Final = "the program works"
NAVIGATION: Final = "groups in the navigation"
HEADINGS: Final = "headings of the guide"
NO_ERRORS: Final = "no errors"

# The checks of each generator and reader. A collection is not compiled, and Java only generated.
CHECKS: Final = {
    **{generator.name: (GENERATES, COMPILES, WORKS) for generator in (*TYPESCRIPT, *PYTHON)},
    JAVA.name: (GENERATES,),
    POSTMAN.name: (GENERATES, WORKS),
    **{name: (NAVIGATION, HEADINGS, NO_ERRORS) for name, _ in READERS},
}
_VERSIONS: Final = {
    **{
        generator.name: version_of(*generator.packages)
        for generator in (*TYPESCRIPT, *PYTHON, JAVA, POSTMAN)
    },
    **{name: version_of(package) for name, package in READERS},
}


class Table:
    """What has succeeded, by generator or reader."""

    def __init__(self, succeeded: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self._succeeded: dict[str, set[str]] = {
            name: set(checks) for name, checks in (succeeded or {}).items()
        }

    def add(self, name: str, check: str) -> None:
        """Record that a check has succeeded."""
        assert check in CHECKS[name]
        self._succeeded.setdefault(name, set()).add(check)

    def markdown(self) -> str:
        """Return two tables in Markdown: the generators, and the readers."""
        readers = {name for name, _ in READERS}
        return "\n".join(
            [
                *self._lines("generator", (GENERATES, COMPILES, WORKS), CHECKS.keys() - readers),
                "",
                *self._lines("reader", (NAVIGATION, HEADINGS, NO_ERRORS), readers),
                "",
            ]
        )

    def _lines(self, kind: str, columns: tuple[str, ...], names: set[str]) -> list[str]:
        rows = [
            (name, _VERSIONS[name], *(self._cell(name, column) for column in columns))
            for name in CHECKS
            if name in names
        ]
        return [
            f"| {' | '.join(cells)} |"
            for cells in ((kind, "version", *columns), ("---",) * (2 + len(columns)), *rows)
        ]

    def _cell(self, name: str, column: str) -> str:
        if column not in CHECKS[name]:
            return "–"  # noqa: RUF001  # a dash
        return "yes" if column in self._succeeded.get(name, ()) else "no"
