"""The page about generated clients has the table that `tox -e generators` produces."""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.generators.catalogue import JAVA, PYTHON, TYPESCRIPT
from tests.generators.table import CHECKS, Table


def test_the_table_has_the_names_and_versions_of_the_generators_and_readers(
    repository: Path,
) -> None:
    page = (repository / "docs/how-to/generated-clients.md").read_text()
    generators, readers = Table(CHECKS).markdown().strip().split("\n\n")

    assert f"\n\n{generators}\n\n" in page
    assert f"\n\n{readers}\n\n" in page


def test_the_page_has_the_options_of_each_command(repository: Path) -> None:
    page = (repository / "docs/how-to/generated-clients.md").read_text()
    other = (repository / "docs/how-to/python-client.md").read_text()
    typescript = (repository / "docs/how-to/typescript-client.md").read_text()
    options = {
        option
        for generator in (*TYPESCRIPT, *PYTHON)
        for option in shlex.split(generator.command)
        if option.startswith("--") and option not in {"--project", "--path", "--fail-on-warning"}
    }

    assert not [option for option in options if option not in page + other + typescript]
    assert JAVA.name in page
