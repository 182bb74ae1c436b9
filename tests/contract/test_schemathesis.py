"""Test a running server with requests that Schemathesis generates from the contract."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import click
import pytest

from services import demo
from services.audit import audit
from tests.support.contract import Node, operations
from tests.support.contract_coverage import Coverage, OperationStatus, documented_links
from tests.support.contract_requests import OPERATIONS
from tests.support.processes import Server, run_server
from tests.support.settings import NO_RATE_LIMIT_VARIABLES

CREDENTIALS = Path(__file__).with_name("credentials.json")
# The source under which the coverage report counts these requests; the other is "examples".
COVERAGE_SOURCE = "generated"
# The server requires no verified addresses.
NOT_HERE = OperationStatus("register", "202")
REPORTS = Path("test-output/contract")


@pytest.fixture
def server(shop: str, tmp_path: Path) -> Iterator[Server]:
    """Run a server with products and the accounts of credentials.json."""
    with run_server(
        tmp_path / "data",
        ORDERLY_DATABASE_URL=shop,
        ORDERLY_COOKIE_SECURE="false",
        ORDERLY_LOG_LEVEL="error",
        ORDERLY_VALIDATE_RESPONSES="true",
        ORDERLY_WORKER="false",
        ORDERLY_SANDBOX_PAYMENTS="true",
        ORDERLY_SANDBOX_MAIL="true",
        ORDERLY_MANUAL_PAYMENT_EXPIRY_MINUTES="10080",
        **NO_RATE_LIMIT_VARIABLES,
    ) as server:
        demo.fill()
        for name, email, password in _accounts():
            if name == "admin":  # created by demo.fill(); the others are registered as customers
                assert (email, password) == demo.ACCOUNTS[0][:2]
            else:
                body = {"email": email, "name": name.title(), "password": password}
                assert server.post("/api/v1/auth/register", body).status_code == 201
        yield server


def test_generated_requests_get_documented_responses(
    request: pytest.FixtureRequest,
    repository: Path,
    coverage: Coverage,
    tmp_path: Path,
    database_url: str,
) -> None:
    arguments = request.config.getoption("--schemathesis", None)
    if arguments is None:
        pytest.skip("takes minutes; run it with `tox -e contract`")
    if request.config.getoption("--random-seed"):
        # The random seed comes first, so that a `--seed` in the given arguments overrides it.
        arguments = f"--seed {secrets.randbelow(1 << 32)} {arguments}"
    reports = repository / REPORTS
    shutil.rmtree(reports, ignore_errors=True)
    server: Server = request.getfixturevalue("server")

    document = tmp_path / "openapi.json"
    run_orderly = [sys.executable, "-m", "orderly", "openapi", "--format", "json"]
    document.write_bytes(
        subprocess.run(
            [*run_orderly, "--with-link-bodies"],
            env={**os.environ, "ORDERLY_COOKIE_SECURE": "false"},
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
    )

    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", str(document)),
        *("--url", f"{server.url}/api/v1"),
        *("--report", "ndjson,junit", "--report-dir", str(reports)),
        *("--report-ndjson-path", str(reports / "events.ndjson")),
        *("--report-junit-path", str(reports / "junit.xml")),
        *shlex.split(arguments),
    ]
    click.echo(f"\n{shlex.join(command[2:])}")
    # Warnings fail the run too: `fail-on` in schemathesis.toml.
    environment = {
        **os.environ,
        "ORDERLY_CONTRACT_DATA_DIR": str(tmp_path / "data"),
        "ORDERLY_CONTRACT_DATABASE_URL": database_url,
    }
    finished = subprocess.run(command, cwd=repository, env=environment, check=False)
    assert 0 == finished.returncode

    assert "" == server.stderr
    assert [] == audit()  # the database has no inconsistent rows
    _record(reports / "events.ndjson", coverage)
    # Generated requests need not reach every error: some errors depend on data or on concurrency.
    # The next test requires all statuses, from the examples and generated requests together.
    missing = coverage.missing_statuses(COVERAGE_SOURCE)
    assert [] == [str(status) for status in missing if status.is_success and status != NOT_HERE]
    if request.config.getoption("--every-link"):
        assert [] == coverage.missing_links(COVERAGE_SOURCE)


def test_the_whole_contract_was_covered(
    request: pytest.FixtureRequest, repository: Path, coverage: Coverage
) -> None:
    if request.config.getoption("--schemathesis", None) is None:
        pytest.skip(
            "needs the examples and generated requests in one run; run it with `tox -e contract`"
        )

    click.echo(f"\n{coverage.write(repository / REPORTS)}; see {REPORTS}/coverage.md")

    assert [] == coverage.missing_statuses()
    assert [] == coverage.missing_codes()
    assert [] == coverage.undocumented_codes()
    assert [] == coverage.missing_links()


def _accounts() -> Iterator[tuple[str, str, str]]:
    """Yield the name, email address and password of each account in credentials.json."""
    for account in json.loads(CREDENTIALS.read_text())["auth"]:
        credentials = account["loginEndpointAuth"]["payloadUserPwd"]
        yield account["name"], credentials["username"], credentials["password"]


def _record(events: Path, coverage: Coverage) -> None:
    """Count the responses and the followed links that Schemathesis reported in `events`."""
    operation_ids = {_label(operation): name for name, operation in operations()}
    # The keys have the format of Schemathesis's transition ids.
    links_by_transition = {
        f"{_label(OPERATIONS[link.operation_id])} -> [{link.status}] {link.name} -> "
        f"{_label(OPERATIONS[link_object['operationId']])}": link
        for link, link_object in documented_links()
    }
    with events.open() as lines:
        for line in lines:
            recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
            for case_id, case in recorder.get("cases", {}).items():
                response = recorder["interactions"][case_id].get("response")
                label = f"{case['value']['method']} {case['value']['path']}"
                if response is None or label not in operation_ids:
                    continue
                status = str(response["status_code"])
                coverage.record_response(
                    COVERAGE_SOURCE, operation_ids[label], status, _code_of(response)
                )
                # Schemathesis also follows links that it infers; they are not in the contract.
                link = links_by_transition.get(case.get("transition", {}).get("id"))
                if link:
                    coverage.record_link(COVERAGE_SOURCE, link)


def _code_of(response: Node) -> str | None:
    """Return the code of a problem, or None for a success."""
    if response["status_code"] < HTTPStatus.BAD_REQUEST:
        return None
    body = base64.b64decode(response["content"]["$base64"])
    code: str = json.loads(body)["code"]
    return code


def _label(operation: Node) -> str:
    return f"{operation['method'].upper()} {operation['path']}"
