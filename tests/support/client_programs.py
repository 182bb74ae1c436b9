"""Runs the programs that build, check and use the generated clients."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

TIMEOUT_SECONDS = 180.0

# The beginning of each line that both example clients print.
SCENARIO = [
    "signed in: client@orderly.example CLIENT",
    "found: GRINDER-01 6490 EUR",
    "ordered: PENDING 12980, once: true",
    "paid: SUCCEEDED 12980, the order is PAID",
    "shipped: SHIPPED, next DELIVERED",
    "timeline: PLACED, PAYMENT_CREATED, STATUS_CHANGED, STATUS_CHANGED",
    "refused: 409, wanted 900, there are",
    "signed out: 401",
]


def run_program(command: Sequence[str | Path], directory: Path, **variables: str) -> str:
    """Run a program in a directory until it exits; return its standard output."""
    completed = subprocess.run(
        [str(part) for part in command],
        cwd=directory,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert 0 == completed.returncode, f"{command}:\n{completed.stdout}\n{completed.stderr}"
    return completed.stdout


def assert_scenario(output: str) -> None:
    """Compare the output of an example client with the scenario, line by line."""
    lines = output.splitlines()
    assert len(SCENARIO) == len(lines), output
    for expected, line in zip(SCENARIO, lines, strict=True):
        assert line.lower().startswith(expected.lower())
