"""Recorded requests of a front end show whether a new contract breaks it."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.accounts import DEMO_CLIENT
from tests.support.chromium import run_chromium
from tests.support.contract import Node
from tests.support.node_tools import REDOCLY
from tests.support.processes import run_server

# What a front end does. It calls `fetch` with the URL: Playwright does not record the body of a
# `Request` object, such as openapi-fetch in the storefront uses.
FRONT_END = """async (credentials) => {
  const send = (path, body) => fetch("/api/v1" + path, {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body),
  });
  await send("/auth/login", credentials);
  const {items} = await (await fetch("/api/v1/products?q=hand+grinder")).json();
  const response = await send("/orders", {items: [{product_id: items[0].id, quantity: 1}]});
  return response.status;
}"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Node, str]:
    """Use the API in a browser; return the recording, the contract and the API's URL."""
    directory = tmp_path_factory.mktemp("recorded")
    recording = directory / "shop.har"
    with (
        run_server(directory / "data", "--demo") as server,
        run_chromium() as browser,
        browser.new_context(
            base_url=server.url,
            record_har_path=recording,
            record_har_url_filter="**/api/v1/**",
        ) as context,
    ):
        page = context.new_page()
        page.goto("/changelog")  # any page of the API's origin
        assert 201 == page.evaluate(FRONT_END, DEMO_CLIENT)
        contract = server.get("/openapi.json").json()
    return recording, contract, f"{server.url}/api/v1"


def findings(recorded: tuple[Path, Node, str], contract: Node, directory: Path) -> set[str]:
    """Return the rules that the recorded requests and responses violate in a contract."""
    recording, _, url = recorded
    document = directory / "openapi.json"
    document.write_text(json.dumps(contract))
    finished = subprocess.run(
        [
            *(REDOCLY, "drift", recording, "--api", document, "--server", url),
            *("--format", "json"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    report = json.loads(finished.stdout)
    assert finished.returncode == bool(report["problems"]), finished.stderr
    assert report["run"]["totalExchanges"] > 2
    return {problem["ruleId"] for problem in report["problems"]}


def _without_a_used_operation(contract: Node) -> None:
    del contract["paths"]["/orders"]["post"]


def _with_a_required_property_in_a_request(contract: Node) -> None:
    request = contract["components"]["schemas"]["OrderRequest"]
    request["required"].append("gift")
    request["properties"]["gift"] = {"type": "boolean"}


def _with_another_type_in_a_response(contract: Node) -> None:
    contract["components"]["schemas"]["Product"]["properties"]["stock"] = {"type": "string"}


def _with_a_property_in_a_response(contract: Node) -> None:
    contract["components"]["schemas"]["Product"]["properties"]["weight"] = {"type": "integer"}


def _without_an_unused_operation(contract: Node) -> None:
    del contract["paths"]["/security-events"]


def _without_changes(_contract: Node) -> None:
    pass


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (_without_a_used_operation, {"undocumented-endpoint"}),
        (_with_a_required_property_in_a_request, {"schema-consistency"}),
        (_with_another_type_in_a_response, {"schema-consistency"}),
        (_with_a_property_in_a_response, set()),
        (_without_an_unused_operation, set()),
        (_without_changes, set()),
    ],
)
def test_a_recording_shows_whether_a_contract_breaks_the_front_end(
    recorded: tuple[Path, Node, str],
    tmp_path: Path,
    change: Callable[[Node], None],
    rules: set[str],
) -> None:
    """The recipe of docs/how-to/contract-changes.md."""
    contract = copy.deepcopy(recorded[1])
    change(contract)

    assert rules == findings(recorded, contract, tmp_path)
