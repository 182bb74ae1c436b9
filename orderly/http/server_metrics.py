"""Collects the metrics of a server process, and writes them to a file for the exporter."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog

from database import server_state
from database.binding import database
from domain.errors import Unavailable
from orderly.http.metrics import RequestMetrics, Sample, counter_samples, new_histogram, observe
from orderly.http.metrics_files import MetricsFile
from orderly.http.readiness import Readiness
from orderly.http.request_limit import RequestCounts
from orderly.http.shared_cache import ResponseStore
from orderly.http.slots import REASONS, Slots
from services import process

# read_only_sql_transaction, disk_full, connection_failure: these counters are exported from the
# start with 0. Prometheus' rate() ignores the first increase of a series that does not exist yet.
_SQLSTATES = ("25006", "53100", "08006")
_REPORT_INTERVAL_SECONDS = 0.5
_CHECK_INTERVAL_SECONDS = 1.0
_LAG_INTERVAL_SECONDS = 0.1
_STATM = Path("/proc/self/statm")


class ServerMetrics:
    """The metrics of this server process."""

    def __init__(
        self,
        directory: Path,
        slots: Slots,
        store: ResponseStore,
        request_counts: RequestCounts,
        readiness: Readiness,
    ) -> None:
        self.requests = RequestMetrics()
        self._slots = slots
        self._store = store
        self._request_counts = request_counts
        self._readiness = readiness
        self._file = MetricsFile.create(directory)
        self._started_at = time.time()
        self._lag = new_histogram()
        self._database = server_state.ServerState()
        self._is_ready = False
        self._stopped = threading.Event()

    @asynccontextmanager
    async def reporting(self) -> AsyncIterator[None]:
        """Report the metrics until the end of the block; measure the lag of the event loop."""
        threads = [
            threading.Thread(target=self._repeat, args=arguments, daemon=True)
            for arguments in (
                (self._report, _REPORT_INTERVAL_SECONDS),
                (self._check, _CHECK_INTERVAL_SECONDS),
            )
        ]
        for thread in threads:
            thread.start()
        lag = asyncio.create_task(self._measure_lag())
        try:
            yield
        finally:
            lag.cancel()
            self._stopped.set()
            await asyncio.to_thread(self._file.close, self.samples())

    def samples(self) -> Iterator[Sample]:
        """Yield all metrics of this process."""
        yield from self.requests.samples()
        yield Sample("orderly_requests_running", (), self._slots.running)
        yield Sample("orderly_requests_waiting", (), self._slots.waiting)
        yield from counter_samples(
            "orderly_requests_shed_total", dict.fromkeys(REASONS, 0) | self._slots.shed
        )
        yield Sample("orderly_requests_rate_limited_total", (), self._request_counts.refused)
        yield Sample("orderly_cache_hits_total", (), self._store.hits)
        yield Sample("orderly_cache_misses_total", (), self._store.misses)
        yield Sample("orderly_cache_size_bytes", (), self._store.size)
        yield Sample("orderly_orders_placed_total", (), process.state().orders_placed)
        yield from self._database_samples()
        yield Sample("orderly_event_loop_lag_seconds", (), list(self._lag))
        yield Sample("orderly_server_processes", (), 1)
        pid = (str(os.getpid()),)
        yield Sample("orderly_server_process_start_time_seconds", pid, self._started_at)
        if _STATM.exists():
            pages = int(_STATM.read_text().split()[1])
            yield Sample(
                "orderly_server_process_resident_memory_bytes",
                pid,
                pages * os.sysconf("SC_PAGE_SIZE"),
            )

    def _database_samples(self) -> Iterator[Sample]:
        pool, state = database.pool, self._database
        assert pool is not None  # noqa: S101  # bound before the server starts
        yield Sample("orderly_database_connections_max", (), pool.size)
        yield Sample("orderly_database_connections_in_use", (), pool.in_use)
        yield Sample("orderly_database_checkout_waits_total", (), pool.waits)
        yield Sample("orderly_database_checkout_wait_seconds_total", (), pool.wait_seconds)
        yield Sample("orderly_database_checkout_timeouts_total", (), pool.timeouts)
        failures = dict.fromkeys(_SQLSTATES, 0) | database.failures
        yield from counter_samples("orderly_database_errors_total", failures)
        yield Sample("orderly_database_read_only", (), int(state.is_read_only))
        yield Sample("orderly_database_clock_skew_seconds", (), abs(state.clock_skew_seconds))
        yield Sample("orderly_ready", (), int(self._is_ready))

    def _repeat(self, work: object, pause: float) -> None:
        assert callable(work)  # noqa: S101
        has_failed = False
        while not self._stopped.is_set():
            try:
                work()
                has_failed = False
            except Exception as error:  # any error: the next attempt may succeed
                if not has_failed:
                    structlog.get_logger("orderly").error("metrics_failed", exc_info=error)
                has_failed = True
            self._stopped.wait(pause)

    def _report(self) -> None:
        self._file.write(self.samples())

    def _check(self) -> None:
        self._is_ready = self._readiness.is_ready()
        with suppress(Unavailable):
            self._database = server_state.check()

    async def _measure_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_INTERVAL_SECONDS
            await asyncio.sleep(_LAG_INTERVAL_SECONDS)
            observe(self._lag, max(loop.time() - due, 0.0))
