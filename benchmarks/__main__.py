"""Runs the whole benchmark suite and prints one table of ratios: `python -m benchmarks [PART...]`.

The parts are:

- pipeline: the CPU time of a request, measured in one process without sockets.
- http: reads over HTTP.
- orders: placing orders of many products, and of one hot product.
- start: start-up time and memory.
- growth: large shops compared with small ones.

Each part is also a module, such as `python -m benchmarks.http`. `--rounds 1 --seconds 1` is a quick
trial. `--orders 10000000 --data DIRECTORY` measures growth at full size. `--markdown FILE` also
writes the table in the format of `docs/performance.md`, and `--charts DIRECTORY` draws charts.

Needs the dependency group `benchmarks`, and `wrk`.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from benchmarks import charts, servers, start
from benchmarks.growth import catalogue as growth_of_catalogue
from benchmarks.growth import orders as growth_of_orders
from benchmarks.growth.alternation import worst
from benchmarks.http import __main__ as http
from benchmarks.measuring import Comparison, environment_description, markdown, options, table
from benchmarks.orders import __main__ as orders
from benchmarks.pipeline import __main__ as pipeline

Part = Callable[[argparse.Namespace, servers.Ground], list[Comparison]]
PARTS: Mapping[str, Part] = {
    "pipeline": lambda given, _: pipeline.compare(max(given.rounds, 5)),
    "http": lambda given, ground: http.compare(ground, given.rounds, given.seconds),
    "orders": lambda given, ground: orders.compare(ground, given.rounds, given.seconds),
    "start": lambda given, ground: start.compare(ground, given.rounds, given.requests),
    "growth": lambda given, _: worst(
        [
            *growth_of_orders.compare(given.orders, given.data, given.rounds, given.calls),
            *growth_of_catalogue.compare(growth_of_catalogue.LARGE, given.rounds, given.calls),
        ]
    ),
}


def main() -> None:
    """Measure and print the table; exit with status 1 if a goal was missed."""
    given = _options()
    found: dict[str, list[Comparison]] = {}
    heading = (
        f"python -m benchmarks {shlex.join(sys.argv[1:])}".strip()
        + f"\n{environment_description()}"
    )
    with ExitStack() as stack:
        measured_on_ground = {"http", "orders", "start"} & set(given.parts)
        ground = stack.enter_context(servers.ground()) if measured_on_ground else None
        for name in given.parts:
            print(f"measuring {name} ...", file=sys.stderr, flush=True)
            found[name] = PARTS[name](given, ground)  # type: ignore[arg-type]
            if given.charts:
                charts.draw(given.charts, name, found[name])
    lines = [line for part in found.values() for line in part]
    print(f"{heading}\n\n{table(lines)}")
    if given.markdown:
        given.markdown.write_text(f"```\n{heading}\n```\n\n{markdown(lines)}\n")
    sys.exit(any(not line.reached for line in lines))


def _options() -> argparse.Namespace:
    parser = options("python -m benchmarks")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument(
        "--requests", type=int, default=start.REQUESTS, help="requests before memory is measured"
    )
    parser.add_argument("--orders", type=int, default=200_000, help="orders of the large shop")
    parser.add_argument("--data", type=Path, help="directory that keeps the shops of `growth`")
    parser.add_argument("--calls", type=int, default=20, help="calls of each case in `growth`")
    parser.add_argument("--markdown", type=Path, help="file to write the table to")
    parser.add_argument("--charts", type=Path, help="directory to draw the charts in")
    given = parser.parse_args()
    if unknown := set(given.parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    given.parts = given.parts or list(PARTS)
    return given


if __name__ == "__main__":
    main()
