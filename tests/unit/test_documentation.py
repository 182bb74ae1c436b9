"""The documentation is complete and matches the repository."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import models
from database.table import Table

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
PAGES = [
    *ROOT.glob("*.md"),
    *(page for page in (ROOT / "docs").rglob("*.md") if "node_modules" not in page.parts),
]
MAX_IMAGE_BYTES = 200_000
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def links(page: Path) -> list[str]:
    """Return the relative link targets of a page, with their fragments."""
    return re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return the fragments that GitHub generates for the headings of a page."""
    headings = re.findall(r"^#{1,6} (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_relative_link_resolves_and_every_page_is_linked() -> None:
    linked = set()
    for page in PAGES:
        for link in links(page):
            path, _, fragment = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), f"{page}: {link}"
            assert not fragment or fragment in anchors(target), f"{page}: {link}"
            if path:
                linked.add(target.resolve())

    assert {ROOT / "README.md"} == {page.resolve() for page in PAGES} - linked


def test_the_index_lists_every_decision_once() -> None:
    listed = [link for link in links(ROOT / "docs" / "README.md") if link.startswith("decisions/")]

    assert sorted(listed) == sorted(f"decisions/{page.name}" for page in DECISIONS.glob("*.md"))


def test_every_decision_has_the_date_of_its_file_name() -> None:
    for page in DECISIONS.glob("*.md"):
        assert page.read_text(encoding="utf-8").splitlines()[2] == page.name[:10], page.name


def test_the_readme_shows_a_small_screenshot() -> None:
    (image,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    content = (ROOT / image).read_bytes()

    assert content.startswith(PNG_SIGNATURE)
    assert len(content) < MAX_IMAGE_BYTES


def test_the_diagram_on_the_architecture_page_matches_the_tables() -> None:
    for module in pkgutil.iter_modules(models.__path__):
        importlib.import_module(f"models.{module.name}")
    tables = {table._meta.table_name: table._meta for table in Table.__subclasses__()}
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (diagram,) = re.findall(r"^```mermaid\nerDiagram\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    entities = re.findall(r"^    (\w+) \{\n(.*?)^    \}$", diagram, re.MULTILINE | re.DOTALL)
    relations = set(re.findall(r"^    (\w+) \S+--\S+ (\w+) :", diagram, re.MULTILINE))

    assert tables.keys() == {name for name, _ in entities}
    for name, attributes in entities:
        for column, keys in re.findall(r"^ {8}\w+ (\w+)( [PFUK, ]+)?", attributes, re.MULTILINE):
            field = tables[name].columns[column]
            assert ("FK" in keys) == hasattr(field, "rel_model"), f"{name}.{column}"
    assert relations == {
        (field.rel_model._meta.table_name, name)
        for name, table in tables.items()
        for field in table.sorted_fields
        if hasattr(field, "rel_model")
    }
