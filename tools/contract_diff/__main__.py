"""`python -m tools.contract_diff`: list the contract changes since the last release.

The last release is the last tag or, without tags, `main`. `python -m tools.contract_diff v0.1.0`
compares with another commit.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tools.contract_diff.release import check


def main() -> int:
    """Print the changes and the errors; return 1 if there is an error."""
    since, changes, errors = check(Path.cwd(), *sys.argv[1:2])
    click.echo(f"The contract since {since}: {len(changes)} changes")
    for change in changes:
        click.echo(change)
    for error in errors:
        click.echo(f"ERROR       {error}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
