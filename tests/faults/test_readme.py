"""The README's tour works as printed, and CI runs its test command."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import httpx2

from tests.support.processes import orderly_environment, run_orderly, run_server


def blocks(repository: Path, section: str) -> list[str]:
    """Return the commands under a heading of the README."""
    text = (repository / "README.md").read_text()
    (section_text,) = re.findall(rf"^## {section}$(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```sh\n(.*?)^```$", section_text, re.MULTILINE | re.DOTALL)


def test_the_tour_works_as_printed(repository: Path, tmp_path: Path) -> None:
    tour = "".join(blocks(repository, "A five-minute tour"))
    assert all(not line.endswith("\\") for line in tour.splitlines()), "a line is a command"
    with run_server(tmp_path / "data", "--demo") as server:
        product = httpx2.get(f"{server.url}/api/v1/products?q=hand+grinder").json()["items"][0]
        completed = subprocess.run(
            ["sh", "-e"],
            input=tour.replace("http://127.0.0.1:8000", server.url),
            env=orderly_environment(TMPDIR=str(tmp_path)),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        audit = run_orderly("audit", f"--data-dir={tmp_path / 'data'}", directory=tmp_path)

    assert (0, "") == (completed.returncode, completed.stderr)
    total, stock = product["price"]["amount"] * 2, product["stock"] - 2
    output = completed.stdout
    assert f'"available": {product["stock"]}' in output
    assert "idempotent-replayed: true" in output.lower()
    assert (
        "\ntransition_not_allowed ['PAID', 'CANCELLED']\nPAID\nSHIPPED\nDELIVERED\nORD-" in output
    )
    assert f" DELIVERED {{'amount': {total}, 'currency': 'EUR'}}\n" in output
    assert output.endswith(f"\n{product['name']} {stock}\n")
    assert 0 == audit.returncode


def test_request_bodies_in_the_tour_are_valid_json(repository: Path) -> None:
    for line in "".join(blocks(repository, "A five-minute tour")).splitlines():
        for body in re.findall(r"-d '(\{[^']*\})'(?=\s|$)", line):
            json.loads(body)


def test_ci_runs_the_test_command_of_the_readme(repository: Path) -> None:
    (command,) = blocks(repository, "Test")

    assert command in (repository / ".ci" / "run").read_text()
