"""Runs Prometheus with the files of deploy/prometheus, and reads its metrics and alerts."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import yaml

from tests.support.processes import ROOT, TIMEOUT_SECONDS, wait_until
from tests.support.proxies import free_port

DIRECTORY = ROOT / "deploy" / "prometheus"
RULES = DIRECTORY / "alerts.yml"

_INTERVAL = "200ms"
# A minute of the rules is a second in the copy for tests.
_SCALE = 60
# Long windows only decide how long an alert stays active after the fault.
_MAX_MILLISECONDS = 10_000
_UNITS = {"s": 1, "m": 60, "h": 3600}
# A worker pauses for up to 6 seconds, so the lag of a job that works is up to that.
_THRESHOLDS = {"orderly_job_lag_seconds > 300": "orderly_job_lag_seconds > 15"}


class Prometheus:
    """A running Prometheus, read through its HTTP API."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of a query at this moment; fail if Prometheus refuses it."""
        result: list[dict[str, Any]] = self._get("query", query=expression)["result"]
        return result

    def alerts(self, state: str | None = None) -> set[tuple[str, str]]:
        """Return the name and instance of each alert that is pending or firing, or in one state."""
        return {
            (alert["labels"]["alertname"], alert["labels"]["instance"])
            for alert in self._get("alerts")["alerts"]
            if state in {alert["state"], None}
        }

    def _get(self, path: str, **parameters: str) -> Any:
        response = self._client.get(f"/api/v1/{path}", params=parameters)
        assert 200 == response.status_code, response.text
        return response.json()["data"]


@contextmanager
def run_prometheus(directory: Path, *targets: str) -> Iterator[Prometheus]:
    """Run Prometheus for the duration of the block, until then with a sample of each target.

    It scrapes the addresses in `targets`, and evaluates the scaled rules, five times a second.
    """
    config = yaml.safe_load((DIRECTORY / "prometheus.yml").read_text())
    config["global"] = {
        "scrape_interval": _INTERVAL,
        "scrape_timeout": _INTERVAL,
        "evaluation_interval": _INTERVAL,
    }
    (job,) = config["scrape_configs"]
    job["static_configs"] = [{"targets": list(targets)}]
    directory.mkdir()
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    (directory / RULES.name).write_text(scaled_rules())
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address={address}",
    ]
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        with httpx2.Client(base_url=f"http://{address}", timeout=TIMEOUT_SECONDS) as client:

            def is_ready() -> bool:
                assert process.poll() is None, (directory / "output").read_text()
                try:
                    return client.get("/-/ready").status_code == 200
                except httpx2.ConnectError:
                    return False

            wait_until(is_ready)
            prometheus = Prometheus(client)
            wait_until(lambda: len(prometheus.query("up == 1")) == len(targets))
            yield prometheus
    finally:
        process.terminate()
        process.wait(TIMEOUT_SECONDS)


def scaled_rules() -> str:
    """Return a copy of the rules with shorter durations: `for`, range windows and `_THRESHOLDS`."""
    rules = yaml.safe_load(RULES.read_text())
    thresholds: Mapping[str, str] = dict(_THRESHOLDS)
    for rule in rules["groups"][0]["rules"]:
        rule["for"] = _scaled(rule["for"])
        rule["expr"] = re.sub(r"(?<=\[)\w+(?=\])", lambda found: _scaled(found[0]), rule["expr"])
        rule["expr"] = thresholds.get(rule["expr"], rule["expr"])
    text = yaml.safe_dump(rules)
    assert all(threshold in text for threshold in thresholds.values())
    return text


def _scaled(duration: str) -> str:
    seconds = int(duration[:-1]) * _UNITS[duration[-1]]
    return f"{min(seconds * 1000 // _SCALE, _MAX_MILLISECONDS)}ms"
