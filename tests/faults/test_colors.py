"""The colours of commands: on a terminal only."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import orderly_environment, run_orderly

ESCAPE = "\x1b["


def run_on_terminal(*arguments: str, directory: Path, **variables: str) -> str:
    """Run an `orderly` command whose output is a terminal; return the output."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "orderly", *arguments],
        cwd=directory,
        env=orderly_environment(**variables),
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    output = b""
    try:
        while part := os.read(controller, 4096):
            output += part
    except OSError:  # Linux reports the end of a terminal as an error
        pass
    process.wait()
    os.close(controller)
    return output.decode()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["check-config", "--data-dir", "shop"], "default\x1b[0m"),
        (["migrate", "--data-dir", "/dev/null"], "\x1b[31m\x1b[1morderly:\x1b[0m "),
    ],
)
def test_a_terminal_gets_colors(tmp_path: Path, arguments: list[str], expected: str) -> None:
    assert expected in run_on_terminal(*arguments, directory=tmp_path)
    assert ESCAPE not in run_on_terminal(*arguments, directory=tmp_path, NO_COLOR="1")

    completed = run_orderly(*arguments, directory=tmp_path)
    assert ESCAPE not in completed.stdout + completed.stderr
