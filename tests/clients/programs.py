"""Runs what makes, checks and drives the clients; what it said is shown where it fails."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

PATIENCE_SECONDS = 180.0

# Both clients tell the same story.
STORY = [
    "signed in: client@orderly.example CLIENT",
    "found: GRND-HAND-01 8900 EUR",
    "ordered: PENDING 17800, once: true",
    "paid: PAID, next SHIPPED or CANCELLED",
    "timeline: PENDING, PAID",
    "refused: 409, wanted 900, there are",
    "signed out: 401",
]


def run(command: Sequence[str | Path], directory: Path, **variables: str) -> str:
    """Run a program in a directory to its end; return what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=directory,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert 0 == done.returncode, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def assert_story(told: str) -> None:
    """Hold what a client printed to the story, line by line."""
    lines = told.splitlines()
    assert len(STORY) == len(lines), told
    for expected, line in zip(STORY, lines, strict=True):
        assert line.lower().startswith(expected.lower())
