"""Measures the CPU time of metrics, logs and load control: `python -m benchmarks.observability`.

wrk reads one of 10,000 products over HTTP from servers of one process, alternately: one with all
three, one without any, and one with each. It prints the CPU time of the server process for each
request, with all its threads: the median of all rounds. Each round starts new servers, since two
processes of the same program differ by up to 15 %. The metrics are reported but not scraped: a
scrape every 15 seconds takes about 1 ms. All servers generate request ids and measure the time in
the database.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import servers
from benchmarks.load import Wrk
from benchmarks.measuring import Comparison, at_most, interleaved, microseconds, options, report
from orderly.settings import Settings

GOAL = 1.1
CLIENTS = 8
_SCRIPT = Path(__file__).with_name("http") / "get.lua"
_METRICS, _LOG, _LOAD_CONTROL = "metrics", "request log", "load control"
_PARTS = (_METRICS, _LOG, _LOAD_CONTROL)
_ALL = ", ".join(_PARTS)
_CASES = {"none": (), _ALL: _PARTS, **{part: (part,) for part in _PARTS}}
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def compare(ground: servers.Ground, rounds: int, seconds: int) -> list[Comparison]:
    """Measure the servers."""
    cases = {}
    for name, parts in _CASES.items():
        settings = replace(
            ground.settings,
            log_level="info" if _LOG in parts else "error",
            metrics_port=int(servers.free_port()) if _METRICS in parts else None,
        )
        module = "orderly" if _LOAD_CONTROL in parts else __spec__.name
        cases[name] = partial(_measure, ground, settings, module, seconds)
    found = {name: median(taken) for name, taken in interleaved(cases, rounds).items()}
    return [
        at_most(
            f"CPU time for one product with {name}, compared with none",
            found[name],
            found["none"],
            GOAL if name == _ALL else None,
            microseconds,
        )
        for name in _CASES
        if name != "none"
    ]


def _measure(ground: servers.Ground, settings: Settings, module: str, seconds: int) -> float:
    """Start a server; return its microseconds of CPU time for each request."""
    with servers.orderly(settings, ground.directory, module) as running:
        _load(ground, running, 1)  # warms up
        return _load(ground, running, seconds)


def _load(ground: servers.Ground, running: servers.Running, seconds: int) -> float:
    """Return the microseconds of CPU time for each request."""
    before = _cpu_seconds(running.pid)
    arguments = (ground.stock.products, "/api/v1/products/*", "-")
    wrk = Wrk(running.address, _SCRIPT, arguments, clients=CLIENTS, seconds=seconds)
    rate = wrk.result().rate
    return (_cpu_seconds(running.pid) - before) / (rate * seconds) * 1e6


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, with all threads, also those that have ended."""
    # Fields 14 and 15: the time in user mode and in the kernel.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / _TICKS_PER_SECOND


def _serve_without_load_control() -> None:
    from orderly import factory  # noqa: PLC0415  # the measuring process needs no application
    from orderly.cli.main import main as run_command  # noqa: PLC0415
    from orderly.http.slots import Slots  # noqa: PLC0415

    class NoLimit(Slots):
        def check_capacity(self, _load: object) -> None:
            pass

        async def run(self, function: Any, _load: object, _client: object) -> Any:
            return await self._run(function)

    factory.Slots = NoLimit  # type: ignore[misc]
    run_command()


def main() -> None:
    """Measure and print."""
    given = options("python -m benchmarks.observability").parse_args()
    with servers.ground() as ground:
        report(compare(ground, given.rounds, given.seconds))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        _serve_without_load_control()
    else:
        main()
