"""`orderly verify` passes for a new demo, and finds each bug that is planted in it."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import orderly_environment, run_server
from tests.support.verification import command, failures_in, verify

TAGS = "entity tags change with the object: "
# The checks that must find each bug.
FOUND_BY = {
    "undocumented_status": {"requests without optional parts succeed: get_me"},
    "oversell": {"concurrent orders do not exceed the stock: create_order"},
    "bola": {"objects of other customers are not found: get_order"},
    "wrong_etag": {f"{TAGS}update_product", f"{TAGS}update_order_status"},
    "idempotency_ignored": {"requests with one key are processed once: create_order"},
}


def shop_of(directory: Path) -> Path:
    """Return the data directory of a server; its output is beside it."""
    (directory / "shop").mkdir()
    return directory / "shop" / "data"


def test_a_new_demo_passes(tmp_path: Path) -> None:
    with run_server(shop_of(tmp_path), "--demo") as server:
        found = verify(server.url, tmp_path / "reports")

    assert (0, {}) == (found.status, found.failures), found.output
    report = (tmp_path / "reports" / "report.html").read_text()
    assert "Passed" in report
    assert "http-equiv" not in report
    assert 'src="' not in report  # it needs no other file


def test_five_bugs_are_found_in_one_run(tmp_path: Path) -> None:
    bugs = {"PLANTED_BUGS": " ".join(FOUND_BY)}
    with run_server(
        shop_of(tmp_path), "--demo", program="tests.support.planted_bugs", **bugs
    ) as server:
        found = verify(server.url, tmp_path / "reports", "--max-time", "0")

    assert 1 == found.status
    assert set().union(*FOUND_BY.values()) <= found.failures.keys()


@pytest.mark.parametrize("bug", FOUND_BY)
def test_each_bug_alone_is_found(tmp_path: Path, bug: str) -> None:
    with run_server(
        shop_of(tmp_path), "--demo", program="tests.support.planted_bugs", PLANTED_BUGS=bug
    ) as server:
        words = [word for check in FOUND_BY[bug] for word in ("--only", check)]
        found = verify(server.url, tmp_path / "reports", *words)

    assert (1, FOUND_BY[bug]) == (found.status, found.failures.keys()), found.output
    if bug == "undocumented_status":
        assert "The status is not documented. get_me: 409" in str(found.failures)


def test_generated_requests_find_a_bug_too(tmp_path: Path) -> None:
    with run_server(
        shop_of(tmp_path),
        "--demo",
        program="tests.support.planted_bugs",
        PLANTED_BUGS="undocumented_status",
    ) as server:
        found = verify(server.url, tmp_path / "reports", "--max-time", "60", "--only", "generated")

    assert 1 == found.status
    assert any("GET /users/me: Undocumented" in name for name in found.failures), found.failures


def test_without_a_known_administrator_no_check_runs(tmp_path: Path) -> None:
    with run_server(shop_of(tmp_path), ORDERLY_TEST_SYSTEM="true") as server:
        found = verify(server.url, tmp_path / "reports")

    assert 2 == found.status
    assert "admin@orderly.example cannot sign in" in found.output
    assert not (tmp_path / "reports").exists()


def start(url: str, reports: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start to verify a server."""
    return subprocess.Popen(
        command(url, reports, *arguments),
        env=orderly_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read_until(run: subprocess.Popen[str], text: str) -> None:
    """Wait until a run prints a text."""
    assert run.stdout
    for line in run.stdout:
        if text in line:
            return
    raise AssertionError(f"the run ended without {text!r}")


def test_a_server_that_stops_ends_the_run_with_a_report(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    with (
        run_server(shop_of(tmp_path), "--demo") as server,
        start(server.url, reports, "--max-time", "0") as run,
    ):
        read_until(run, "request examples succeed")
        server.stop()
        output = run.communicate()[0]

    assert 2 == run.returncode, output
    assert "stopped responding" in output
    assert "Not complete" in (reports / "report.html").read_text()


def test_an_interrupted_run_reports_what_it_has_found(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    with (
        run_server(
            shop_of(tmp_path),
            "--demo",
            program="tests.support.planted_bugs",
            PLANTED_BUGS="undocumented_status",
        ) as server,
        start(server.url, reports) as run,
    ):
        read_until(run, "FAILED get_me")
        run.send_signal(signal.SIGINT)
        output = run.communicate()[0]

    assert 2 == run.returncode, output
    assert "Interrupted" in output
    assert "Not complete" in (reports / "report.html").read_text()
    assert any("get_me" in name for name in failures_in(reports))
