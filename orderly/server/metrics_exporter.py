"""Serves the metrics of all processes to Prometheus, on a port of their own.

The exporter runs in threads of the supervisor, or of the server process if there is only one: a
scrape never blocks an event loop that handles requests.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from orderly import __version__
from orderly.http.metrics import BUCKETS, METRICS, Sample, Value
from orderly.http.metrics_files import read_all
from orderly.settings import Settings, SettingsError

# Processes report twice a second. The gauges of an older report than this are ignored.
_ALIVE_SECONDS = 5.0
_MERGE: dict[str, Callable[[float, float], float]] = {
    "sum": lambda one, other: one + other,
    "min": min,
    "max": max,
}
_Merged = dict[tuple[str, tuple[str, ...]], Value]


class Exporter(Collector):
    """Merges the metrics that the processes have reported in a directory.

    `local` yields metrics of this process. `data_dir` is the directory of the embedded PostgreSQL.
    """

    def __init__(
        self,
        directory: Path,
        local: Callable[[], Iterable[Sample]],
        *,
        data_dir: Path | None,
    ) -> None:
        self._directory = directory
        self._local = local
        self._data_dir = data_dir
        # Two scrapes may run at the same time.
        self._lock = threading.Lock()
        # The counters and histograms of processes that have ended.
        self._ended_counters: _Merged = {}
        self._crashes = 0

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics, for prometheus-client."""
        with self._lock:
            merged = self._merge_reports()
        _merge(merged, self._own_samples(), with_gauges=True)
        yield from _families(merged)

    def _merge_reports(self) -> _Merged:
        merged: _Merged = {}
        for path, report in read_all(self._directory).items():
            is_fresh = time.time() - report.written_at < _ALIVE_SECONDS
            if not report.is_final and _is_alive(report.pid, is_fresh=is_fresh):
                _merge(merged, report.samples, with_gauges=is_fresh)
            else:
                _merge(self._ended_counters, report.samples, with_gauges=False)
                self._crashes += not report.is_final
                path.unlink()
        ended_samples = (Sample(*key, value) for key, value in self._ended_counters.items())
        _merge(merged, ended_samples, with_gauges=False)
        return merged

    def _own_samples(self) -> Iterator[Sample]:
        yield from self._local()
        yield Sample("orderly_server_process_crashes_total", (), self._crashes)
        yield Sample("orderly_build_info", (__version__, platform.python_version()), 1)
        if self._data_dir is not None:
            disk = shutil.disk_usage(self._data_dir)
            yield Sample("orderly_data_directory_free_bytes", (), disk.free)
            yield Sample("orderly_data_directory_size_bytes", (), disk.total)


@contextmanager
def serve_metrics(settings: Settings, exporter: Exporter) -> Iterator[str | None]:
    """Serve metrics during the block, if the settings name a port; yield the URL.

    Raises:
        SettingsError: the port cannot be used.
    """
    if settings.metrics_port is None:
        yield None
        return
    registry = CollectorRegistry()
    registry.register(exporter)
    try:
        server, thread = start_http_server(
            settings.metrics_port, addr=settings.metrics_host, registry=registry
        )
    except OSError as error:
        message = f"Cannot listen on {settings.metrics_host}: {error.strerror or error}."
        raise SettingsError([("ORDERLY_METRICS_PORT", message)]) from error
    host = f"[{settings.metrics_host}]" if ":" in settings.metrics_host else settings.metrics_host
    try:
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _is_alive(pid: int, *, is_fresh: bool) -> bool:
    if sys.platform == "win32":  # os.kill would end the process there
        return is_fresh
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _merge(merged: _Merged, samples: Iterable[Sample], *, with_gauges: bool) -> None:
    for name, labels, value in samples:
        metric = METRICS[name]
        if metric.kind == "gauge" and not with_gauges:
            continue
        key = (name, labels)
        known = merged.get(key)
        if known is None:
            merged[key] = value
        elif isinstance(value, float | int) and isinstance(known, float | int):
            merged[key] = _MERGE[metric.merge](known, value)
        else:
            assert not isinstance(known, float | int)  # noqa: S101  # both are histograms
            assert not isinstance(value, float | int)  # noqa: S101
            merged[key] = [one + other for one, other in zip(known, value, strict=True)]


def _families(merged: _Merged) -> Iterator[Metric]:
    for name, metric in METRICS.items():
        values = [(labels, value) for (key, labels), value in merged.items() if key == name]
        if metric.kind == "histogram":
            histogram = HistogramMetricFamily(name, metric.help, labels=metric.labels)
            for labels, value in values:
                assert not isinstance(value, float | int)  # noqa: S101
                histogram.add_metric(labels, _cumulative(value), value[-1])
            yield histogram
            continue
        family_type = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        family = family_type(name, metric.help, labels=metric.labels)
        for labels, value in values:
            assert isinstance(value, float | int)  # noqa: S101
            family.add_metric(labels, value)
        yield family


def _cumulative(histogram: Iterable[float]) -> list[tuple[str, float]]:
    """Return the cumulative buckets that Prometheus expects: each includes those before it."""
    total = 0.0
    buckets = []
    for bound, count in zip((*BUCKETS, "+Inf"), histogram, strict=False):
        total += count
        buckets.append((str(bound), total))
    return buckets
