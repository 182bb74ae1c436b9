"""The metrics: how they are counted and merged, and that the documents and alerts name them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from database.use import DatabaseUse
from orderly.background.job_metrics import GivenUp, JobMetrics
from orderly.http import metrics_files
from orderly.http.metrics import METRICS, RequestMetrics, Sample
from orderly.http.metrics_files import MetricsFile
from orderly.server.metrics_exporter import Exporter

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "operations" / "monitoring.md"
RUNBOOKS = ROOT / "docs" / "operations" / "runbooks.md"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "orderly.json"

SHED = "orderly_requests_shed_total"
WAITING = "orderly_requests_waiting"


def exported(directory: Path, jobs: JobMetrics | None = None) -> Callable[[], dict[str, float]]:
    """Return a function that scrapes the reports in a directory: samples by name and labels."""
    registry = CollectorRegistry()
    registry.register(Exporter(directory, (jobs or JobMetrics()).samples, data_dir=None))

    def scrape() -> dict[str, float]:
        lines = generate_latest(registry).decode().splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    return scrape


def test_requests_are_counted_by_operation_status_and_reason(tmp_path: Path) -> None:
    metrics = RequestMetrics()
    facts = {"operation_id": "create_order", "problem": None}
    metrics.count(facts, 201, 0.003, DatabaseUse(round_trips=2, seconds=0.5))
    metrics.count({**facts, "problem": "insufficient_stock"}, 409, 0.3, DatabaseUse())
    MetricsFile.create(tmp_path).write(metrics.samples())

    samples = exported(tmp_path)()

    labels = '{le="0.005",operation="create_order",status="201"}'
    assert 1 == samples[f"orderly_http_request_duration_seconds_bucket{labels}"]
    labels = '{operation="create_order",status="409"}'
    assert 0.3 == samples[f"orderly_http_request_duration_seconds_sum{labels}"]
    assert 1 == samples['orderly_orders_refused_total{reason="insufficient_stock"}']
    assert 2 == samples['orderly_database_round_trips_total{operation="create_order"}']
    assert 0.5 == samples['orderly_database_wait_seconds_total{operation="create_order"}']


def test_counters_of_a_killed_process_remain_and_its_gauges_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = [Sample(SHED, ("queue_full",), 3), Sample(WAITING, (), 2)]
    MetricsFile.create(tmp_path).write(counted)
    MetricsFile.create(tmp_path).write(counted)
    scrape = exported(tmp_path)

    alive = scrape()
    with monkeypatch.context() as patched:
        # No process has this id: it is larger than the largest that Linux allows.
        patched.setattr("os.getpid", lambda: 2**22 + 1)
        killed = MetricsFile.create(tmp_path)
        killed.write(counted)
    once, twice = scrape(), scrape()

    assert (6, 4) == (alive[f'{SHED}{{reason="queue_full"}}'], alive[WAITING])
    assert (9, 4) == (once[f'{SHED}{{reason="queue_full"}}'], once[WAITING])
    assert 1 == once["orderly_server_process_crashes_total"]
    assert once == twice


def test_a_process_that_shuts_down_is_no_crash_and_its_counters_remain(tmp_path: Path) -> None:
    file = MetricsFile.create(tmp_path)
    file.close([Sample(SHED, ("queue_full",), 3), Sample(WAITING, (), 2)])
    file.write([Sample(SHED, ("queue_full",), 0)])

    samples = exported(tmp_path)()

    assert 3 == samples[f'{SHED}{{reason="queue_full"}}']
    assert WAITING not in samples
    assert 0 == samples["orderly_server_process_crashes_total"]
    assert {} == metrics_files.read_all(tmp_path)


def test_the_lag_of_a_job_grows_until_it_succeeds(tmp_path: Path) -> None:
    jobs = JobMetrics()
    jobs.start(["backups_written"], lambda: GivenUp(2, 3))
    jobs.count("backups_written", None, 0.1)
    first = exported(tmp_path, jobs)()
    second = exported(tmp_path, jobs)()
    before_success = time.monotonic()
    jobs.count("backups_written", 1, 0.1)
    last = exported(tmp_path, jobs)()
    since_success = time.monotonic() - before_success

    lag = 'orderly_job_lag_seconds{job_name="backups_written"}'
    assert 0 < first[lag] < second[lag]
    assert 0 <= last[lag] <= since_success
    assert 1 == last['orderly_job_failures_total{job_name="backups_written"}']
    assert 2 == last['orderly_job_batches_total{job_name="backups_written"}']
    assert 2 == last["orderly_payment_checks_given_up_total"]
    assert 3 == last["orderly_mails_given_up_total"]


def test_the_document_describes_each_metric() -> None:
    rows = re.findall(
        r"^\| `(orderly_\w+)` \| (\w+) \| (.*?) \| (.*) \|$", DOCUMENT.read_text(), re.MULTILINE
    )
    documented = {
        name: (kind, tuple(re.findall(r"\w+", labels)), text) for name, kind, labels, text in rows
    }

    assert {
        name: (metric.kind, metric.labels, metric.help) for name, metric in METRICS.items()
    } == documented


def test_each_alert_has_a_runbook() -> None:
    section = RUNBOOKS.read_text().partition("\n## Alerts")[2]
    documented = re.findall(r"^### (\w+)$", section, re.MULTILINE)
    rules = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]

    assert [rule["alert"] for rule in rules] == documented


@pytest.mark.parametrize("file", [ALERTS, DASHBOARD], ids=["alerts", "dashboard"])
def test_queries_name_only_metrics_that_exist(file: Path) -> None:
    named = set(re.findall(r"orderly_\w+", file.read_text()))
    series = {
        f"{name}{suffix}"
        for name, metric in METRICS.items()
        for suffix in (("_bucket", "_count", "_sum") if metric.kind == "histogram" else ("",))
    }

    assert named
    assert set() == named - series


def test_each_panel_of_the_dashboard_has_a_query_and_a_place_of_its_own() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]

    assert all(target["expr"] for panel in panels for target in panel["targets"])
    assert len(panels) == len({(one["gridPos"]["x"], one["gridPos"]["y"]) for one in panels})
    assert len(panels) == len({panel["id"] for panel in panels})
