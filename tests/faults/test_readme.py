"""The README's tour works as printed, and CI runs its test command."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx2

from orderly.contract.workflows import operation_id, parse, read_workflows, status
from tests.support.processes import run_orderly, run_server

# The sandbox calls it, for the payments of the demo.
BY_SANDBOX = "receive_payment_notification"


def blocks(repository: Path, section: str, language: str = "sh") -> list[str]:
    """Return the code blocks under a heading of the README."""
    text = (repository / "README.md").read_text()
    (section_text,) = re.findall(rf"^## {section}$(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    return re.findall(rf"^```{language}\n(.*?)^```$", section_text, re.MULTILINE | re.DOTALL)


def test_the_tour_works_as_printed(repository: Path, tmp_path: Path) -> None:
    tour = "".join(blocks(repository, "A five-minute tour", "python"))
    with run_server(tmp_path / "data", "--demo") as server:
        product = httpx2.get(f"{server.url}/api/v1/products?q=hand+grinder").json()["items"][0]
        completed = subprocess.run(
            [sys.executable, "-"],
            input=tour.replace("http://localhost:8000", server.url),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        requests = [
            (line["operation_id"], line["status"])
            for line in server.log
            if line["event"] == "request" and line["operation_id"] not in {None, BY_SANDBOX}
        ][1:]  # without the search above
        audit = run_orderly("audit", f"--data-dir={tmp_path / 'data'}", directory=tmp_path)

    assert (0, "") == (completed.returncode, completed.stderr)
    total, stock = product["price"]["amount"] * 2, product["stock"] - 2
    output = completed.stdout
    assert f"'available': {product['stock']}" in output
    assert re.search(r"^(ORD-\S+) \1 true$", output, re.MULTILINE)
    assert "'code': 'transition_not_allowed'" in output
    assert "'allowed': ['PAID', 'CANCELLED']" in output
    assert "\nPAID\nSHIPPED\nDELIVERED\nORD-" in output
    assert f" DELIVERED {{'amount': {total}, 'currency': 'EUR'}}\n" in output
    assert output.endswith(f"\n{product['name']} {stock}\n")
    assert 0 == audit.returncode
    (workflow,) = parse(read_workflows()["first_order.arazzo.yaml"])["workflows"]
    steps = [(operation_id(step), status(step)) for step in workflow["steps"]]
    assert requests == [("login" if id_ == "issue_token" else id_, code) for id_, code in steps]


def test_ci_runs_the_test_command_of_the_readme(repository: Path) -> None:
    (command,) = blocks(repository, "Test")

    assert command in (repository / ".ci" / "run").read_text()
