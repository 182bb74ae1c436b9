"""Writes the reports of a run: HTML for people, JUnit and JSON for programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

import orderly
from orderly.verification.results import Outcome, Result, Results

_HERE = Path(__file__).parent
_TEMPLATE = _HERE / "report.html.jinja"
_STYLE = _HERE.parent / "pages" / "style.css"
# XML 1.0 cannot contain these characters, not even as references.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_reports(results: Results, directory: Path) -> Path:
    """Write report.html, junit.xml, coverage.md and coverage.json; return the path of the first."""
    directory.mkdir(parents=True, exist_ok=True)
    results.coverage.write(directory)
    (directory / "junit.xml").write_bytes(junit(results))
    path = directory / "report.html"
    path.write_text(html(results))
    return path


def junit(results: Results) -> bytes:
    """Return the results in the format of JUnit."""
    root = ET.Element("testsuites", name="orderly verify", time=f"{results.seconds:.1f}")
    for group, members in results.groups().items():
        suite = ET.SubElement(root, "testsuite", name=group, **_counts(members))
        for result in members:
            case = ET.SubElement(
                suite,
                "testcase",
                classname=group,
                name=_xml_text(result.name),
                time=f"{result.seconds:.3f}",
            )
            if result.outcome is Outcome.FAILED:
                failure = ET.SubElement(case, "failure", message=_xml_text(result.message[:500]))
                failure.text = _xml_text("\n".join([result.message, *result.steps, result.curl]))
            elif result.outcome is Outcome.NOT_REACHABLE:
                ET.SubElement(case, "skipped", message=_xml_text(result.message))
    if results.incomplete:
        suite = ET.SubElement(
            root, "testsuite", name="the run", tests="1", failures="0", errors="1"
        )
        case = ET.SubElement(suite, "testcase", classname="the run", name="is complete")
        ET.SubElement(case, "error", message=_xml_text(results.incomplete))
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return content


def html(results: Results) -> str:
    """Return the results as one page, which needs no other file."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    failed = len(results.failures())
    verdict, verdict_class = "Passed", "good"
    if failed:
        verdict, verdict_class = f"Failed: {failed} check{'s' if failed > 1 else ''}", "bad"
    if results.incomplete:
        verdict, verdict_class = "Not complete", "bad"
    reasons = results.unreachable()
    return environment.from_string(_TEMPLATE.read_text()).render(
        results=results,
        verdict=verdict,
        verdict_class=verdict_class,
        style=Markup(_STYLE.read_text()),  # noqa: S704  # our own file
        now=f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        totals=results.coverage.totals_with(reasons),
        reasons=results.reasons(),
        groups=list(_groups(results)),
        operations=list(_operations(results)),
        sources=results.coverage.sources(),
        package_version=orderly.__version__,
    )


def _groups(results: Results) -> Iterator[tuple[str, int, int, int, float]]:
    for group, members in results.groups().items():
        passed, failed, unreachable = (
            sum(one.outcome is outcome for one in members) for outcome in Outcome
        )
        yield group, passed, failed, unreachable, sum(one.seconds for one in members)


def _operations(results: Results) -> Iterator[dict[str, Any]]:
    """Yield each operation with what it documents, and how often each of it was met."""
    reasons = results.unreachable()
    sources = results.coverage.sources()
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in results.contract.operations}
    for key, by_source in results.coverage.counts():
        counts = [by_source.get(source, 0) for source in sources]
        met = any(counts)
        rows[key.operation_id].append(
            {
                "name": str(key).removeprefix(f"{key.operation_id} "),
                "counts": counts,
                "met": met,
                "reason": "" if met else reasons.get(str(key), ""),
            }
        )
    for operation_id, operation in results.contract.operations.items():
        own = rows[operation_id]
        yield {
            "id": operation_id,
            "method": operation["method"].upper(),
            "path": operation["path"],
            "rows": own,
            "met": sum(row["met"] for row in own),
            "unreachable": any(row["reason"] for row in own),
            "missing": any(not row["met"] and not row["reason"] for row in own),
        }


def _counts(members: list[Result]) -> dict[str, Any]:
    outcomes = [result.outcome for result in members]
    return {
        "tests": str(len(members)),
        "failures": str(outcomes.count(Outcome.FAILED)),
        "errors": "0",
        "skipped": str(outcomes.count(Outcome.NOT_REACHABLE)),
        "time": f"{sum(result.seconds for result in members):.1f}",
    }


def _xml_text(text: str) -> str:
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)
