"""Serves the metrics of `orderly serve` and `orderly worker`, if the settings name a port."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from orderly.settings import Settings

if TYPE_CHECKING:
    from orderly.background.job_metrics import JobMetrics


@contextmanager
def export_metrics(
    settings: Settings, *, data_dir: Path | None = None
) -> Iterator[tuple[Settings, JobMetrics | None, str | None]]:
    """Serve metrics during the block, if the settings ask for them.

    Yield the settings with the directory in which server processes report, the metrics of the
    worker, and the URL. `data_dir` is the directory whose disk is measured.

    Raises:
        SettingsError: the port cannot be used.
    """
    if settings.metrics_port is None:
        yield replace(settings, metrics_dir=None), None, None
        return
    from orderly.background.job_metrics import JobMetrics  # noqa: PLC0415  # slow to import
    from orderly.server.metrics_exporter import Exporter, serve_metrics  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="orderly-metrics-") as name:
        directory, jobs = Path(name), JobMetrics()
        exporter = Exporter(directory, jobs.samples, data_dir=data_dir)
        with serve_metrics(settings, exporter) as url:
            yield replace(settings, metrics_dir=directory), jobs, url
