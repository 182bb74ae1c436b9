"""Runs `orderly verify`, and reads its report for programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from tests.support.processes import orderly_environment

TIMEOUT_SECONDS = 1200


class Verification(NamedTuple):
    """The result of a run."""

    status: int
    output: str
    failures: dict[str, str]  # the message of each failed check, by "group: name"


def command(url: str, reports: Path, *arguments: str) -> list[str]:
    """Return the command that verifies a server."""
    program = [sys.executable, "-m", "orderly", "verify", url, "--report-dir", str(reports)]
    return [*program, *arguments]


def verify(url: str, reports: Path, *arguments: str) -> Verification:
    """Verify a server until the run ends."""
    finished = subprocess.run(
        command(url, reports, *arguments),
        cwd=reports.parent,
        env=orderly_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return Verification(finished.returncode, finished.stdout, failures_in(reports))


def failures_in(reports: Path) -> dict[str, str]:
    """Return the failures in junit.xml."""
    path = reports / "junit.xml"
    if not path.exists():
        return {}
    return {
        f"{case.get('classname')}: {case.get('name')}": failure.get("message", "")
        for case in ET.parse(path).iter("testcase")
        for failure in case.iter("failure")
    }
