"""Prometheus scrapes a running shop: the alerts and the dashboard name only metrics that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orderly.http.metrics import METRICS
from tests.support.accounts import demo_client
from tests.support.processes import ROOT, run_server, wait_until
from tests.support.prometheus import RULES, Prometheus, run_prometheus
from tests.support.shop import ORDERS, place_order

DASHBOARD = ROOT / "deploy" / "grafana" / "orderly.json"
# What Grafana replaces in queries.
VARIABLES = {"$instance": ".*", "$__rate_interval": "5s"}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Run a shop of two server processes and a worker; order, and try to order too much."""
    directory = tmp_path_factory.mktemp("shop")
    with (
        run_server(
            directory / "data", "--demo", "--workers", "2", ORDERLY_METRICS_PORT="0"
        ) as server,
        demo_client(server) as client,
        run_prometheus(directory / "prometheus", server.metrics_address) as prometheus,
    ):
        product = client.get("/api/v1/products?in_stock=true").json()["items"][0]
        assert 201 == place_order(client, (product, 1)).status_code
        assert 409 == place_order(client, (product, 10_000)).status_code
        assert 200 == client.get(ORDERS).status_code
        wait_until(lambda: prometheus.query("sum(orderly_orders_refused_total) == 1"))
        wait_until(lambda: prometheus.query("orderly_server_processes == 2"))
        yield prometheus


def series_of(name: str) -> str:
    return f"{name}_bucket" if METRICS[name].kind == "histogram" else name


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_has_a_sample(name: str, prometheus: Prometheus) -> None:
    assert prometheus.query(series_of(name))


@pytest.mark.parametrize("file", [RULES, DASHBOARD], ids=["alerts", "dashboard"])
def test_each_metric_that_a_file_names_has_a_sample(file: Path, prometheus: Prometheus) -> None:
    names = set(re.findall(r"orderly_\w+", file.read_text()))

    assert names
    assert [] == [name for name in names if not prometheus.query(name)]


def queries() -> Iterator[Any]:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for number, target in enumerate(panel["targets"]):
            yield pytest.param(target["expr"], id=f"{panel['title']} {number}")


@pytest.mark.parametrize("query", list(queries()))
def test_each_query_of_the_dashboard_returns_data(query: str, prometheus: Prometheus) -> None:
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    assert "$" not in query

    # rate() needs two samples of each series.
    wait_until(lambda: prometheus.query(query))


def test_no_alert_is_active_in_a_shop_without_a_fault(prometheus: Prometheus) -> None:
    assert set() == prometheus.alerts()
