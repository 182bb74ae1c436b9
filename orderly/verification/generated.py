"""Runs Schemathesis, which generates requests from the contract, in a process of its own."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from orderly.contract import document
from orderly.verification.accounts import Accounts
from orderly.verification.contract import Contract, Link, Node
from orderly.verification.coverage import Coverage

# The source under which the coverage counts these requests; the other is "examples".
COVERAGE_SOURCE = "generated"
# Where `hooks.py`, in the process of Schemathesis, finds the file HOOKS_FILE.
HOOKS_VARIABLE = "ORDERLY_VERIFICATION_HOOKS"

_CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
_PROGRESS_SECONDS = 0.5


@dataclass(frozen=True)
class HookData:
    """What the hooks know about the deployment besides what the API says."""

    # Signs the notifications of the payment sandbox. None: no valid one is sent.
    sandbox_secret: bytes | None = None
    # By operationId: the tokens of mails, each of which succeeds once.
    mail_tokens: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def write(self, path: Path, accounts: Accounts) -> None:
        """Write the file that `hooks.py` reads."""
        named = (accounts.alice, accounts.admin, accounts.bob)
        content = {
            "accounts": {account.name: [account.email, account.password] for account in named},
            "sandbox_secret": self.sandbox_secret.hex() if self.sandbox_secret else None,
            "mail_tokens": dict(self.mail_tokens),
        }
        path.write_text(json.dumps(content))


def run_schemathesis(
    contract: Contract,
    api_url: str,
    accounts: Accounts,
    hooks: HookData,
    *,
    directory: Path,
    reports: Path,
    arguments: Sequence[str],
    output: Any = None,
    on_progress: Callable[[], None] = lambda: None,
) -> int:
    """Run Schemathesis until it ends; return its exit status.

    Args:
        contract: the document that requests are generated from.
        api_url: the base URL of the API.
        accounts: who sends the requests.
        hooks: what the hooks know about the deployment.
        directory: an empty directory for its input files.
        reports: the directory for `junit.xml` and `events.ndjson`.
        arguments: further options of `schemathesis run`.
        output: the file for its output; None: that of this process.
        on_progress: called twice a second.
    """
    published = document.published(contract.document, with_link_bodies=True)
    (directory / "openapi.json").write_bytes(document.as_json(published))
    shutil.copy(_CONFIGURATION, directory)
    accounts.write_credentials(directory / "credentials.json")
    hooks.write(directory / "hooks.json", accounts)
    reports = reports.resolve()
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", "openapi.json"),
        *("--url", api_url, "--report", "ndjson,junit", "--report-dir", str(reports)),
        *("--report-ndjson-path", str(reports / "events.ndjson")),
        *("--report-junit-path", str(reports / "junit.xml")),
        *arguments,
    ]
    process = subprocess.Popen(  # noqa: S603  # this program and its own files
        command,
        cwd=directory,
        env={**os.environ, HOOKS_VARIABLE: str(directory / "hooks.json")},
        stdout=output,
        stderr=output,
    )
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(_PROGRESS_SECONDS)
            on_progress()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def record(events: Path, contract: Contract, coverage: Coverage) -> None:
    """Count the responses and the followed links that Schemathesis reported in `events`."""
    operation_ids = {_label(operation): name for name, operation in contract.operations.items()}
    links = _links_by_transition(contract)
    for case, interaction in cases(events):
        response = interaction.get("response")
        operation_id = operation_ids.get(f"{case['value']['method']} {case['value']['path']}")
        if response is None or operation_id is None:
            continue
        status = str(response["status_code"])
        coverage.record_response(COVERAGE_SOURCE, operation_id, status, _code_of(response))
        # Schemathesis also follows links that it infers; they are not in the contract.
        link = links.get((case.get("transition") or {}).get("id"))
        if link:
            coverage.record_link(COVERAGE_SOURCE, link)


def cases(events: Path) -> Iterator[tuple[Node, Node]]:
    """Yield each test case in a file of events, with its interaction."""
    for recorder in recorders(events):
        for case_id, case in recorder.get("cases", {}).items():
            yield case, recorder["interactions"].get(case_id, {})


def recorders(events: Path) -> Iterator[Node]:
    """Yield what each scenario in a file of events has recorded."""
    with events.open() as lines:
        for line in lines:
            # The last line is incomplete if the process was stopped.
            with suppress(json.JSONDecodeError):
                yield json.loads(line).get("ScenarioFinished", {}).get("recorder", {})


def _links_by_transition(contract: Contract) -> Mapping[str | None, Link]:
    """Return the links by Schemathesis's transition ids."""
    return {
        f"{_label(contract.operations[link.operation_id])} -> [{link.status}] {link.name} -> "
        f"{_label(contract.operations[link_object['operationId']])}": link
        for link, link_object in contract.links()
    }


def _code_of(response: Node) -> str | None:
    """Return the code of a problem, or None for a success."""
    if response["status_code"] < HTTPStatus.BAD_REQUEST:
        return None
    try:
        body = json.loads(base64.b64decode(response["content"]["$base64"]))
        return str(body["code"])
    except (ValueError, KeyError, TypeError):  # no problem document: a check of Schemathesis fails
        return None


def _label(operation: Node) -> str:
    return f"{operation['method'].upper()} {operation['path']}"
