"""The security pages name tests and files that exist, and leave out no requirement."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
DOCUMENTS = [ROOT / "docs" / "security.md", *sorted((ROOT / "docs" / "security").glob("*.md"))]
ASVS = ROOT / "docs" / "security" / "asvs.md"

# How many requirements of ASVS 5.0.0 are at level 1 or 2, by section. In every section they come
# first, before those of level 3.
LEVELS_1_AND_2 = """
1.1:2 1.2:9 1.3:11 1.4:3 1.5:2
2.1:3 2.2:3 2.3:4 2.4:1
3.2:2 3.3:4 3.4:6 3.5:5 3.7:2
4.1:3 4.2:1 4.3:2 4.4:4
5.1:1 5.2:3 5.3:2 5.4:3
6.1:3 6.2:12 6.3:4 6.4:4 6.5:5 6.6:3 6.8:4
7.1:3 7.2:4 7.3:2 7.4:5 7.5:2 7.6:2
8.1:2 8.2:3 8.3:1 8.4:1
9.1:3 9.2:4
10.1:2 10.2:2 10.3:4 10.4:11 10.5:5 10.6:2 10.7:3
11.1:2 11.2:3 11.3:3 11.4:4 11.5:1 11.6:1
12.1:3 12.2:2 12.3:4
13.1:1 13.2:5 13.3:2 13.4:5
14.1:2 14.2:4 14.3:3
15.1:3 15.2:3 15.3:7
16.1:1 16.2:5 16.3:4 16.4:3 16.5:3
17.1:1 17.2:4 17.3:2
"""


def listed_requirements() -> list[str]:
    """Return the requirements in the first cells of the tables, with ranges ("1.1.1 to 1.1.3")."""
    found = []
    for first in re.findall(r"^\| (\d[^|]*)", ASVS.read_text(), re.MULTILINE):
        for section, start, end in re.findall(r"(\d+\.\d+)\.(\d+)(?: to \d+\.\d+\.(\d+))?", first):
            found += [f"{section}.{number}" for number in range(int(start), int(end or start) + 1)]
    return found


def test_every_requirement_at_levels_1_and_2_is_listed_once() -> None:
    listed = listed_requirements()
    required = {
        f"{section}.{number}"
        for section, _, last in (entry.partition(":") for entry in LEVELS_1_AND_2.split())
        for number in range(1, int(last) + 1)
    }

    assert len(required) == 253
    assert required - set(listed) == set()
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_named_test_exists(document: Path) -> None:
    named = re.findall(r"`([a-z_/0-9]+\.py)::(test_\w+)`", document.read_text())

    assert len(named) > 10
    for file, test in named:
        assert f"\ndef {test}(" in (TESTS / file).read_text(), f"{file}::{test}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_named_file_exists(document: Path) -> None:
    named = re.findall(r"`([a-z_0-9]+/[a-z_0-9/]+\.[a-z]+)`", document.read_text())

    assert [file for file in named if not (ROOT / file).is_file()] == []
