"""What of the contract was exercised: its operations, their statuses, the links between them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.contract import Node, operations

# Nobody may be able to bring these about from outside.
FAULTS = {"500", "503"}


class Link(NamedTuple):
    """What leads from an answer to the next request."""

    operation_id: str
    status: str
    name: str

    def __str__(self) -> str:
        return f"{self.operation_id} {self.status} -> {self.name}"


class Coverage:
    """How often each documented thing happened, by what made it happen."""

    def __init__(self) -> None:
        self.statuses: dict[str, Counter[tuple[str, str]]] = {}
        self.links: dict[str, Counter[Link]] = {}

    def met(self, by: str, operation_id: str, status: str, times: int = 1) -> None:
        """Record that an operation was answered so."""
        self.statuses.setdefault(by, Counter())[operation_id, status] += times

    def followed(self, by: str, link: Link, times: int = 1) -> None:
        """Record that a link led on to a request."""
        self.links.setdefault(by, Counter())[link] += times

    def missing(self, by: Iterable[str] | None = None) -> list[str]:
        """Return what never happened, in words."""
        chosen = set(self.statuses) if by is None else set(by)
        statuses = set().union(*(self.statuses.get(one, Counter()) for one in chosen))
        links = set().union(*(self.links.get(one, Counter()) for one in chosen))
        return [
            *(
                f"{name} was never answered with {s}"
                for name, s in documented()
                if (name, s) not in statuses
            ),
            *(
                f"the link {link} was never followed"
                for link in documented_links()
                if link not in links
            ),
        ]

    def write(self, directory: Path) -> str:
        """Write the report, for people and for programs; return its summary."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "coverage.json").write_text(json.dumps(self._facts(), indent=2) + "\n")
        (directory / "coverage.md").write_text("\n".join(self._page()) + "\n")
        return self._summary()

    def _summary(self) -> str:
        lines = []
        met, followed = self._total(self.statuses), self._total(self.links)
        names = {name for name, _ in documented()}
        reached = {name for name, status in met if status < "400"}
        for what, all_of_it, done in (
            ("operations", names, reached),
            ("statuses", set(documented()), set(met)),
            ("links", set(documented_links()), set(followed)),
        ):
            share = 100 * len(all_of_it & done) / max(len(all_of_it), 1)
            lines.append(f"{what}: {len(all_of_it & done)} of {len(all_of_it)}, {share:.1f}%")
        return "; ".join(lines)

    def _facts(self) -> dict[str, object]:
        return {
            "statuses": [
                {"operation": name, "status": status, **self._by(self.statuses, (name, status))}
                for name, status in documented()
            ],
            "links": [
                {"link": str(link), **self._by(self.links, link)} for link in documented_links()
            ],
            "missing": self.missing(),
        }

    def _page(self) -> Iterator[str]:
        sources = sorted(self.statuses)
        yield "# What of the contract was exercised"
        yield ""
        yield f"{self._summary()} (500 and 503 are left out: nobody can ask for them)."
        for title, keys, counted in (
            ("Operation and status", [*documented()], self.statuses),
            ("Link", [*documented_links()], self.links),
        ):
            yield ""
            yield f"| {title} | {' | '.join(sources)} |"
            yield f"|---|{'---|' * len(sources)}"
            for key in keys:
                label = str(key) if isinstance(key, Link) else " ".join(key)
                counts = [str(counted.get(by, {}).get(key, 0)) for by in sources]  # type: ignore[call-overload]
                yield f"| {label} | {' | '.join(counts)} |"

    @staticmethod
    def _by(counted: dict[str, Counter], key: object) -> dict[str, int]:  # type: ignore[type-arg]
        return {by: counts[key] for by, counts in counted.items()}

    @staticmethod
    def _total(counted: dict[str, Counter]) -> Counter:  # type: ignore[type-arg]
        total: Counter = Counter()  # type: ignore[type-arg]
        for counts in counted.values():
            total.update(counts)
        return total


def documented() -> Iterator[tuple[str, str]]:
    """Yield each operation with each status that it documents, but for faults of the server."""
    for name, operation in operations():
        for status in operation["responses"]:
            if status not in FAULTS:
                yield name, status


def documented_links() -> Iterator[Link]:
    """Yield each link."""
    for link, _ in links():
        yield link


def links() -> Iterator[tuple[Link, Node]]:
    """Yield each link with what the contract says of it."""
    for name, operation in operations():
        for status, response in operation["responses"].items():
            for link_name, link in response.get("links", {}).items():
                yield Link(name, status, link_name), link
