"""The server as it is run, against requests that Schemathesis generates from the contract."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from services import demo
from services.audit import audit
from tests.api.conftest import UNLIMITED_VARIABLES
from tests.contract.reading import Node, operations
from tests.faults.processes import Server, serving

CREDENTIALS = Path(__file__).with_name("credentials.json")


class Outcomes(NamedTuple):
    """How often something was answered, and how often one answer led on to another request."""

    statuses: Counter[tuple[str, str]]
    links: Counter[str]


@pytest.fixture
def server(shop: str, tmp_path: Path) -> Iterator[Server]:
    """Serve a shop that has products, an administrator and two customers."""
    with serving(
        tmp_path / "data",
        ORDERLY_DATABASE_URL=shop,
        ORDERLY_COOKIE_SECURE="false",
        ORDERLY_LOG_LEVEL="error",
        ORDERLY_VALIDATE_RESPONSES="true",
        ORDERLY_WORKER="false",
        **UNLIMITED_VARIABLES,
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
    request: pytest.FixtureRequest, tmp_path: Path, repository: Path
):
    arguments = request.config.getoption("--schemathesis", None)
    if arguments is None:
        pytest.skip("takes minutes: tox -e contract")
    server: Server = request.getfixturevalue("server")

    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
        *("--report", "ndjson,junit", "--report-dir", str(tmp_path)),
        *("--report-ndjson-path", str(tmp_path / "events.ndjson")),
        *shlex.split(arguments),
    ]
    # Its configuration has warnings fail the run as well.
    assert 0 == subprocess.run(command, cwd=repository, check=False).returncode

    assert "" == server.logged
    assert [] == audit()
    outcomes = _outcomes(tmp_path / "events.ndjson")
    assert set() == _successes() - outcomes.statuses.keys()
    if request.config.getoption("--every-link"):
        assert set() == _links() - outcomes.links.keys()


def _accounts() -> Iterator[tuple[str, str, str]]:
    for account in json.loads(CREDENTIALS.read_text())["auth"]:
        credentials = account["loginEndpointAuth"]["payloadUserPwd"]
        yield account["name"], credentials["username"], credentials["password"]


def _outcomes(events: Path) -> Outcomes:
    outcomes = Outcomes(Counter(), Counter())
    with events.open() as lines:
        for line in lines:
            recorded = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
            for number, case in recorded.get("cases", {}).items():
                response = recorded["interactions"][number].get("response")
                if response is None:
                    continue
                label = f"{case['value']['method']} {case['value']['path']}"
                outcomes.statuses[label, str(response["status_code"])] += 1
                if "transition" in case:
                    outcomes.links[case["transition"]["id"]] += 1
    return outcomes


def _successes() -> set[tuple[str, str]]:
    return {
        (_label(operation), status)
        for _, operation in operations()
        for status in operation["responses"]
        if status.startswith("2")
    }


def _links() -> set[str]:
    """Return the links of the contract as Schemathesis calls them."""
    labels = {name: _label(operation) for name, operation in operations()}
    return {
        f"{labels[source]} -> [{status}] {name} -> {labels[link['operationId']]}"
        for source, operation in operations()
        for status, response in operation["responses"].items()
        for name, link in response.get("links", {}).items()
    }


def _label(operation: Node) -> str:
    return f"{operation['method'].upper()} {operation['path']}"
