"""Count how often tests reach each operation, status, error code and link of the contract."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from orderly.verification.contract import Contract, ErrorCode, Link, OperationStatus

Reached = OperationStatus | ErrorCode | Link
Counts = dict[str, Counter[Reached]]


class Coverage:
    """Counts by the source of the requests: the contract's examples, or generated requests."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._statuses: Counts = {}
        self._codes: Counts = {}
        self._links: Counts = {}

    def record_response(
        self, source: str, operation_id: str, status: str, code: str | None
    ) -> None:
        """Count a response; `code` is that of a problem."""
        reached = OperationStatus(operation_id, status)
        self._statuses.setdefault(source, Counter())[reached] += 1
        if code is not None:
            error = ErrorCode(operation_id, status, code)
            self._codes.setdefault(source, Counter())[error] += 1

    def record_link(self, source: str, link: Link) -> None:
        """Count a request that followed a link."""
        self._links.setdefault(source, Counter())[link] += 1

    def missing_statuses(self, *sources: str) -> list[OperationStatus]:
        """Return the statuses that these sources never reached; without arguments, any source."""
        reached = _reached(self._statuses, sources)
        return [status for status in self._contract.statuses() if status not in reached]

    def missing_codes(self) -> list[ErrorCode]:
        """Return the documented codes that no response had."""
        met = _reached(self._codes)
        return [code for code in self._contract.codes() if code not in met]

    def undocumented_codes(self) -> list[ErrorCode]:
        """Return the codes that responses had, but their operation and status do not document."""
        met = {code for code in _reached(self._codes) if isinstance(code, ErrorCode)}
        return sorted(code for code in met - {*self._contract.codes()} if not code.is_of_server)

    def missing_links(self, *sources: str) -> list[Link]:
        """Return the links that these sources never followed; without arguments, any source."""
        followed = _reached(self._links, sources)
        return [link for link, _ in self._contract.links() if link not in followed]

    def write(self, directory: Path) -> str:
        """Write coverage.md and coverage.json into a directory; return a one-line summary."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "coverage.json").write_text(json.dumps(self._as_json(), indent=2) + "\n")
        (directory / "coverage.md").write_text("\n".join(self._as_markdown()) + "\n")
        return self._summary()

    def _summary(self) -> str:
        return "; ".join(
            f"{name}: {covered} of {documented}, {100 * covered / max(documented, 1):.1f}%"
            for name, covered, documented in self.totals()
        )

    def totals(self) -> list[tuple[str, int, int]]:
        """Return what is counted, how many of it were reached, and how many are documented."""
        statuses = set(self._contract.statuses())
        reached = statuses & _reached(self._statuses)
        codes = set(self._contract.codes())
        links = {link for link, _ in self._contract.links()}
        parts = (
            (
                "operations",
                {status.operation_id for status in reached if status.is_success},
                {status.operation_id for status in statuses},
            ),
            ("statuses", reached, statuses),
            ("codes", codes & _reached(self._codes), codes),
            ("links", links & _reached(self._links), links),
        )
        return [(name, len(covered), len(documented)) for name, covered, documented in parts]

    def sources(self) -> list[str]:
        """Return the sources that have sent any request."""
        return sorted(self._statuses)

    def counts(self) -> Iterator[tuple[Reached, Mapping[str, int]]]:
        """Yield what the contract documents, with how often each source met it."""
        for status in self._contract.statuses():
            yield status, _by_source(self._statuses, status)
        for code in self._contract.codes():
            yield code, _by_source(self._codes, code)
        for link, _ in self._contract.links():
            yield link, _by_source(self._links, link)

    def totals_with(self, unreachable: Collection[str]) -> list[tuple[str, int, int, int]]:
        """Like `totals`, with the number of those that were not reached for a known reason."""
        missing: dict[str, Sequence[Reached]] = {
            "statuses": self.missing_statuses(),
            "codes": self.missing_codes(),
            "links": self.missing_links(),
        }
        return [
            (*total, sum(str(one) in unreachable for one in missing.get(total[0], [])))
            for total in self.totals()
        ]

    def _as_json(self) -> dict[str, object]:
        return {
            "statuses": [
                {
                    "operation": status.operation_id,
                    "status": status.status,
                    **_by_source(self._statuses, status),
                }
                for status in self._contract.statuses()
            ],
            "codes": [
                {"code": str(code), **_by_source(self._codes, code)}
                for code in self._contract.codes()
            ],
            "links": [
                {"link": str(link), **_by_source(self._links, link)}
                for link, _ in self._contract.links()
            ],
            "missing": [
                *map(str, self.missing_statuses()),
                *map(str, self.missing_codes()),
                *map(str, self.missing_links()),
            ],
        }

    def _as_markdown(self) -> Iterator[str]:
        yield "# Coverage of the contract"
        yield ""
        yield f"{self._summary()} (500 and 503 are not counted: no request can cause them)."
        yield from _table("Operation and status", self._contract.statuses(), self._statuses)
        yield from _table("Operation, status and code", self._contract.codes(), self._codes)
        yield from _table("Link", (link for link, _ in self._contract.links()), self._links)


def _reached(counts: Counts, sources: Iterable[str] = ()) -> set[Reached]:
    """Return the keys that the sources counted at least once; without sources, that any did."""
    return {key for source in sources or counts for key in counts.get(source, ())}


def _by_source(counts: Counts, key: Reached) -> Mapping[str, int]:
    return {source: counter[key] for source, counter in counts.items()}


def _table(title: str, keys: Iterable[Reached], counts: Counts) -> Iterator[str]:
    sources = sorted(counts)
    yield ""
    yield f"| {title} | {' | '.join(sources)} |"
    yield f"|---|{'---|' * len(sources)}"
    for key in keys:
        yield f"| {key} | {' | '.join(str(counts[source][key]) for source in sources)} |"
