"""The server as it is run, against requests that Schemathesis generates from the contract."""

from __future__ import annotations

import json
import re
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from services import demo
from services.audit import audit
from tests.contract.coverage import Coverage, links
from tests.contract.visitor import OPERATIONS
from tests.support.contract import Node, operations
from tests.support.processes import Server, run_server
from tests.support.settings import NO_RATE_LIMIT_VARIABLES

CREDENTIALS = Path(__file__).with_name("credentials.json")


GENERATED = "generated"
REPORTS = Path("test-output/contract")
SUCCESS = re.compile(r"answered with 2\d\d$")


@pytest.fixture
def server(shop: str, tmp_path: Path) -> Iterator[Server]:
    """Serve a shop that has products, an administrator and two customers."""
    with run_server(
        tmp_path / "data",
        ORDERLY_DATABASE_URL=shop,
        ORDERLY_COOKIE_SECURE="false",
        ORDERLY_LOG_LEVEL="error",
        ORDERLY_VALIDATE_RESPONSES="true",
        ORDERLY_WORKER="false",
        **NO_RATE_LIMIT_VARIABLES,
    ) as server:
        demo.fill()
        for name, email, password in _accounts():
            if name == "admin":
                assert (email, password) == demo.ACCOUNTS[0][:2]
            else:
                body = {"email": email, "name": name.title(), "password": password}
                assert server.post("/api/v1/auth/register", body).status_code == 201
        yield server


def test_whatever_the_contract_allows_is_answered_as_it_says(
    request: pytest.FixtureRequest, repository: Path, coverage: Coverage
):
    arguments = request.config.getoption("--schemathesis", None)
    if arguments is None:
        pytest.skip("takes minutes: tox -e contract")
    if request.config.getoption("--random-seed"):
        # Before the others: a seed that is asked for holds.
        arguments = f"--seed {secrets.randbelow(1 << 32)} {arguments}"
    reports = repository / REPORTS
    shutil.rmtree(reports, ignore_errors=True)
    server: Server = request.getfixturevalue("server")

    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
        *("--report", "ndjson,junit", "--report-dir", str(reports)),
        *("--report-ndjson-path", str(reports / "events.ndjson")),
        *("--report-junit-path", str(reports / "junit.xml")),
        *shlex.split(arguments),
    ]
    click.echo(f"\n{shlex.join(command[2:])}")
    # Its configuration has warnings fail the run as well.
    assert 0 == subprocess.run(command, cwd=repository, check=False).returncode

    assert "" == server.stderr
    assert [] == audit()
    _record(reports / "events.ndjson", coverage)
    missing = coverage.missing(by=[GENERATED])
    assert [] == [one for one in missing if SUCCESS.search(one)]
    if request.config.getoption("--every-link"):
        assert [] == [one for one in missing if one.startswith("the link")]


def test_all_of_the_contract_was_exercised(
    request: pytest.FixtureRequest, repository: Path, coverage: Coverage
) -> None:
    if request.config.getoption("--schemathesis", None) is None:
        pytest.skip("is told of the whole contract run: tox -e contract")

    click.echo(f"\n{coverage.write(repository / REPORTS)}; see {REPORTS}/coverage.md")

    assert [] == coverage.missing()


def _accounts() -> Iterator[tuple[str, str, str]]:
    for account in json.loads(CREDENTIALS.read_text())["auth"]:
        credentials = account["loginEndpointAuth"]["payloadUserPwd"]
        yield account["name"], credentials["username"], credentials["password"]


def _record(events: Path, coverage: Coverage) -> None:
    """Record what Schemathesis met, and which links it followed."""
    operation_ids = {_label(operation): name for name, operation in operations()}
    labels = {
        f"{_label(OPERATIONS[link.operation_id])} -> [{link.status}] {link.name} -> "
        f"{_label(OPERATIONS[definition['operationId']])}": link
        for link, definition in links()
    }
    with events.open() as lines:
        for line in lines:
            recorded = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
            for number, case in recorded.get("cases", {}).items():
                response = recorded["interactions"][number].get("response")
                label = f"{case['value']['method']} {case['value']['path']}"
                if response is None or label not in operation_ids:
                    continue
                coverage.met(GENERATED, operation_ids[label], str(response["status_code"]))
                # Schemathesis infers links of its own beside those of the contract.
                link = labels.get(case.get("transition", {}).get("id"))
                if link:
                    coverage.followed(GENERATED, link)


def _label(operation: Node) -> str:
    return f"{operation['method'].upper()} {operation['path']}"
