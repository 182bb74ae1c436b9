"""Measures the CPU time of metrics, logs and load control: `python -m benchmarks.observability`.

wrk reads one of 10,000 products over HTTP from one server process. The parts are switched off and
on again in this process every quarter of a second: all three, none, and each alone. Two processes
of the same program differ by up to 15 %, and the speed of a virtual machine changes within seconds,
so only measurements of one process within about a second are compared. It prints the median of the
ratios. The CPU time is that of the whole process, with all its threads.

The process also writes its metrics to a file twice a second, in all cases and without requests.
This cost is measured on two idle servers, with and without metrics, and added. A scrape is not
measured: one every 15 seconds takes about 1 ms. In all cases the server generates request ids, and
measures the time in the database.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import servers
from benchmarks.load import Wrk
from benchmarks.measuring import Comparison, at_most, microseconds, options, report

GOAL = 1.1
CLIENTS = 8
_SCRIPT = Path(__file__).with_name("http") / "get.lua"
_METRICS, _LOG, _LOAD_CONTROL = "metrics", "request log", "load control"
_PARTS = (_METRICS, _LOG, _LOAD_CONTROL)
_ALL = ", ".join(_PARTS)
_NONE = "none"
_CASES: Mapping[str, tuple[str, ...]] = {
    _NONE: (),
    _ALL: _PARTS,
    **{part: (part,) for part in _PARTS},
}
# The signal that switches to a case
_SIGNALS = {name: signal.SIGRTMIN + number for number, name in enumerate(_CASES)}
_SEGMENT_SECONDS = 0.25
_IDLE_SECONDS = 10
# The file to which the server writes a line for each segment
_FILE_VARIABLE = "BENCHMARK_SEGMENTS"


def compare(ground: servers.Ground, rounds: int, seconds: int) -> list[Comparison]:
    """Measure the parts."""
    settings = replace(ground.settings, log_level="info", metrics_port=int(servers.free_port()))
    file = ground.directory / "segments"
    os.environ[_FILE_VARIABLE] = str(file)
    with servers.orderly(settings, ground.directory, __spec__.name) as running:
        _alternate(ground, running, seconds)  # warms up
        file.write_text("")
        for _ in range(rounds):
            _alternate(ground, running, seconds * len(_CASES))
        idle = _idle_share(running)
    with servers.orderly(ground.settings, ground.directory) as without_metrics:
        idle -= _idle_share(without_metrics)
    cycles = list(_cycles(file))
    none = median(cycle[_NONE] for cycle in cycles)
    # Under load, the server uses a whole core: the share of the core is that of each request.
    reporting = idle * none
    print(f"{len(cycles)} cycles; metrics without requests: {idle:.2%} of a core")
    return [
        at_most(
            f"CPU time for one product with {name}, compared with none",
            none * median(cycle[name] / cycle[_NONE] for cycle in cycles)
            + (reporting if _METRICS in parts else 0),
            none,
            GOAL if name == _ALL else None,
            microseconds,
        )
        for name, parts in _CASES.items()
        if parts
    ]


def _alternate(ground: servers.Ground, running: servers.Running, seconds: int) -> None:
    """Send requests for this number of seconds; switch to another case every 0.25 seconds."""
    arguments = (ground.stock.products, "/api/v1/products/*", "-")
    wrk = Wrk(running.address, _SCRIPT, arguments, clients=CLIENTS, seconds=seconds)
    time.sleep(_SEGMENT_SECONDS)
    # Begins with `none`: `_cycles` drops the first segment, which began before the requests.
    names = list(_CASES)
    end = time.monotonic() + seconds - (len(names) + 2) * _SEGMENT_SECONDS
    while time.monotonic() < end:
        for name in names:
            os.kill(running.pid, _SIGNALS[name])
            time.sleep(_SEGMENT_SECONDS)
        # Random, so that each case follows each other case equally often on average.
        random.shuffle(names)
    os.kill(running.pid, _SIGNALS[_NONE])  # ends the last segment
    wrk.result()


def _cycles(file: Path) -> Iterator[dict[str, float]]:
    """Yield the microseconds of CPU time for each request, by case, of each cycle."""
    cycle: dict[str, float] = {}
    for line in file.read_text().splitlines():
        name, requests, seconds = line.split(";")
        if name in cycle:  # the first segment of a round
            cycle.clear()
        cycle[name] = float(seconds) / int(requests) * 1e6
        if len(cycle) == len(_CASES):
            yield cycle
            cycle = {}


def _idle_share(running: servers.Running) -> float:
    """Return the share of a core that a server uses without requests."""
    before = servers.Cpu.now(running.pid)
    time.sleep(_IDLE_SECONDS)
    return (servers.Cpu.now(running.pid).server - before.server) / _IDLE_SECONDS


def _serve_with_switches() -> None:
    """Run `orderly serve`; at a signal, write a line about the last segment, and switch."""
    from orderly import factory  # noqa: PLC0415  # the measuring process needs no application
    from orderly.cli.main import main as run_command  # noqa: PLC0415
    from orderly.http.request_log import RequestLog  # noqa: PLC0415
    from orderly.http.slots import Slots  # noqa: PLC0415

    segments = Path(os.environ[_FILE_VARIABLE])
    has_load_control = [True]

    class SwitchableLog(RequestLog):
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **named)
            self._both = (self._metrics, self._log)
            self._case, self._requests, self._cpu_seconds = _ALL, 0, 0.0
            for name, number in _SIGNALS.items():
                signal.signal(number, partial(self._switch, name))

        async def __call__(self, *args: Any) -> None:
            self._requests += 1
            await super().__call__(*args)

        def _switch(self, name: str, *_: object) -> None:
            seconds = time.process_time() - self._cpu_seconds
            if self._requests:
                with segments.open("a") as file:
                    file.write(f"{self._case};{self._requests};{seconds}\n")
            metrics, log = self._both
            self._metrics = metrics if _METRICS in _CASES[name] else None
            self._log = log if _LOG in _CASES[name] else None
            has_load_control[0] = _LOAD_CONTROL in _CASES[name]
            self._case, self._requests, self._cpu_seconds = name, 0, time.process_time()

    class SwitchableSlots(Slots):
        def check_capacity(self, load: Any) -> None:
            if has_load_control[0]:
                super().check_capacity(load)

        async def run(self, function: Any, load: Any, client: Any) -> Any:
            if has_load_control[0]:
                return await super().run(function, load, client)
            return await self._run(function)

    factory.RequestLog = SwitchableLog  # type: ignore[misc]
    factory.Slots = SwitchableSlots  # type: ignore[misc]
    run_command()


def main() -> None:
    """Measure and print."""
    given = options("python -m benchmarks.observability").parse_args()
    with servers.ground() as ground:
        report(compare(ground, given.rounds, given.seconds))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        _serve_with_switches()
    else:
        main()
