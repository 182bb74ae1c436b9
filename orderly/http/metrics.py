"""The metrics of Orderly: their names, and what each process counts.

Counting must be cheap, so each process counts in plain Python objects: `RequestMetrics` here, and
attributes of the objects that do the work (`Slots`, `ConnectionPool`, the worker's jobs). They are
read twice a second, not at each request. `orderly/server/metrics_exporter.py` merges the reports of
all processes, and serves them to Prometheus.

To add a metric:

1. Add it to `METRICS`, and to the table in docs/operations/monitoring.md.
2. Count it in an attribute of the object that does the work. A layer below `orderly` may not import
   this module: it only has the attribute.
3. Read the attribute in `orderly/http/server_metrics.py`, `orderly/background/job_metrics.py` or
   the exporter.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from database.use import DatabaseUse

# The upper bounds of the buckets, in seconds; the last bucket has no bound.
BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_CREATE_ORDER = "create_order"
_BAD_REQUEST = 400


class Metric(NamedTuple):
    """The type and meaning of a metric, and how the values of several processes are merged.

    Counters and histograms are added up, and include those of processes that have ended. A gauge is
    the sum, minimum or maximum over the live processes.
    """

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    merge: Literal["sum", "min", "max"] = "sum"


METRICS: Mapping[str, Metric] = {
    "orderly_http_request_duration_seconds": Metric(
        "histogram", "Duration of requests until the end of the response.", ("operation", "status")
    ),
    "orderly_http_requests_in_flight": Metric("gauge", "Requests without a complete response."),
    "orderly_requests_running": Metric("gauge", "Requests that occupy a slot."),
    "orderly_requests_waiting": Metric("gauge", "Requests that wait for a slot."),
    "orderly_requests_shed_total": Metric(
        "counter", "Requests that were not processed because of overload.", ("reason",)
    ),
    "orderly_requests_rate_limited_total": Metric(
        "counter", "Requests that exceeded the limit of requests of one client."
    ),
    "orderly_cache_hits_total": Metric(
        "counter", "Requests for the catalogue that were answered from the cache."
    ),
    "orderly_cache_misses_total": Metric(
        "counter", "Requests for the catalogue without credentials that the cache passed on."
    ),
    "orderly_cache_size_bytes": Metric("gauge", "Memory of the cached responses."),
    "orderly_orders_placed_total": Metric("counter", "Orders that were placed."),
    "orderly_orders_refused_total": Metric(
        "counter", "Orders that were refused, by problem code.", ("reason",)
    ),
    "orderly_database_wait_seconds_total": Metric(
        "counter", "Time for which requests waited for PostgreSQL.", ("operation",)
    ),
    "orderly_database_round_trips_total": Metric(
        "counter", "Round trips of requests to PostgreSQL.", ("operation",)
    ),
    "orderly_database_connections_max": Metric("gauge", "Size of the connection pools."),
    "orderly_database_connections_in_use": Metric("gauge", "Connections in use."),
    "orderly_database_checkout_waits_total": Metric(
        "counter", "Checkouts that had to wait for a connection."
    ),
    "orderly_database_checkout_wait_seconds_total": Metric(
        "counter", "Time for which checkouts waited for a connection."
    ),
    "orderly_database_checkout_timeouts_total": Metric(
        "counter", "Checkouts that failed because every connection stayed in use."
    ),
    "orderly_database_errors_total": Metric(
        "counter", "Failures of the database, by SQLSTATE.", ("sqlstate",)
    ),
    "orderly_database_read_only": Metric(
        "gauge", "1 if the database refuses to write, else 0.", merge="max"
    ),
    "orderly_database_clock_skew_seconds": Metric(
        "gauge", "Difference between the clocks of this machine and PostgreSQL.", merge="max"
    ),
    "orderly_ready": Metric("gauge", "1 if all server processes are ready, else 0.", merge="min"),
    "orderly_event_loop_lag_seconds": Metric(
        "histogram", "Delay of a timer on the event loop that handles requests."
    ),
    "orderly_server_processes": Metric("gauge", "Server processes that report metrics."),
    "orderly_server_process_crashes_total": Metric(
        "counter", "Server processes that ended without a shutdown."
    ),
    "orderly_server_process_start_time_seconds": Metric(
        "gauge", "When a server process was started, in seconds since 1970.", ("pid",)
    ),
    "orderly_server_process_resident_memory_bytes": Metric(
        "gauge", "Resident memory of a server process.", ("pid",)
    ),
    "orderly_job_batches_total": Metric(
        "counter", "Batches of a job that were run.", ("job_name",)
    ),
    "orderly_job_rows_total": Metric("counter", "Rows that a job has processed.", ("job_name",)),
    "orderly_job_failures_total": Metric("counter", "Batches of a job that failed.", ("job_name",)),
    "orderly_job_duration_seconds_total": Metric(
        "counter", "Time that a job has taken.", ("job_name",)
    ),
    "orderly_job_lag_seconds": Metric(
        "gauge",
        "Time since the job last succeeded, or since the start.",
        ("job_name",),
        merge="max",
    ),
    "orderly_payment_checks_given_up_total": Metric(
        "counter", "Payments and refunds whose state the reconciliation could not find out."
    ),
    "orderly_mails_given_up_total": Metric(
        "counter", "Mails that were refused, or could not be sent for two days."
    ),
    "orderly_data_directory_free_bytes": Metric(
        "gauge", "Free space on the disk of the data directory."
    ),
    "orderly_data_directory_size_bytes": Metric("gauge", "Size of the disk of the data directory."),
    "orderly_build_info": Metric("gauge", "Always 1.", ("version", "python")),
}

# The value of a histogram: the count of each bucket, and at the end the sum of all values.
Value = float | Sequence[float]


class Sample(NamedTuple):
    """A value of a metric, with the values of its labels."""

    name: str
    labels: tuple[str, ...]
    value: Value


def new_histogram() -> list[float]:
    """Return an empty histogram."""
    return [0.0] * (len(BUCKETS) + 2)


def observe(histogram: list[float], seconds: float) -> None:
    """Add a value to a histogram."""
    histogram[bisect_left(BUCKETS, seconds)] += 1
    histogram[-1] += seconds


class _Series:
    """The requests of one operation with one status."""

    __slots__ = ("duration", "round_trips", "wait_seconds")

    def __init__(self) -> None:
        self.duration = new_histogram()
        self.round_trips = 0
        self.wait_seconds = 0.0


class RequestMetrics:
    """Counts the requests of a server process. Only its event loop may call the methods."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._series: dict[tuple[str | None, int | None], _Series] = {}
        self._refusals: Counter[str] = Counter()

    def count(
        self, facts: Mapping[str, Any], status: int | None, seconds: float, use: DatabaseUse
    ) -> None:
        """Count a request that has ended. Its status is None if there was no response."""
        operation = facts["operation_id"]
        key = (operation, status)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series()
        observe(series.duration, seconds)
        series.round_trips += use.round_trips
        series.wait_seconds += use.seconds
        if operation == _CREATE_ORDER and status is not None and status >= _BAD_REQUEST:
            self._refusals[facts["problem"] or "none"] += 1

    def samples(self) -> Iterator[Sample]:
        """Yield the current values. Any thread may call this."""
        yield Sample("orderly_http_requests_in_flight", (), self.in_flight)
        wait_seconds: Counter[str] = Counter()
        round_trips: Counter[str] = Counter()
        for (operation_id, status), series in list(self._series.items()):
            operation = operation_id or "none"
            labels = (operation, str(status or "none"))
            yield Sample("orderly_http_request_duration_seconds", labels, list(series.duration))
            wait_seconds[operation] += series.wait_seconds  # type: ignore[assignment]
            round_trips[operation] += series.round_trips
        yield from counter_samples("orderly_database_wait_seconds_total", wait_seconds)
        yield from counter_samples("orderly_database_round_trips_total", round_trips)
        yield from counter_samples("orderly_orders_refused_total", self._refusals)


def counter_samples(name: str, counts: Mapping[str, float]) -> Iterator[Sample]:
    """Yield the samples of a metric with one label."""
    for label, value in list(counts.items()):
        yield Sample(name, (label,), value)
