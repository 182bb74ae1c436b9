"""The table of faults: each test adds a row, which is printed, and recorded with `--record`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.fault_table.order_load import EXPECTED
from tests.fault_table.running_shop import Fault, Row, Shop, run_shop
from tests.support.processes import ROOT
from tests.support.stripe_server import run_stripe_server, stripe_settings

DOCUMENT = ROOT / "docs" / "operations" / "faults.md"
Measured = Callable[..., AbstractContextManager[Fault]]
_ROW = re.compile(r"^\|.*`(test_\w+)` \|$")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help=f"replace the rows in {DOCUMENT.name}")


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Run a shop with the embedded PostgreSQL and a payment provider, which many faults share."""
    with run_stripe_server() as stripe:
        variables = stripe_settings(stripe)
        with run_shop(tmp_path_factory.mktemp("shop"), **variables) as shop:
            shop.stripe = stripe
            yield shop


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Measured:
    """Return a context manager that measures the fault in its block, in a shop.

    It checks that no order was lost, and adds the row to the table. The fault's name is the
    docstring of the test. `alert` must fire.
    """

    @contextmanager
    def measure(shop: Shop, alert: str | None = None) -> Iterator[Fault]:
        fault = Fault(shop)
        with fault.measured(alert):
            yield fault
        test = request.function
        row = fault.row(test.__doc__.strip().removesuffix("."), test.__name__)
        text = _text(row)
        print(f"\n{text}")  # noqa: T201
        assert (0, 0, 0) == (row.lost, row.doubled, row.oversold)
        assert "" == shop.audit()
        assert [] == shop.errors()
        assert fault.load.outcomes <= EXPECTED
        if request.config.getoption("--record"):
            _record(row.test, text)

    return measure


def _text(row: Row) -> str:
    cells = [
        row.fault,
        row.seen,
        f"{row.recovery_seconds:.1f}",
        row.orders,
        row.lost,
        row.doubled,
        row.oversold,
        row.alerts,
        f"`{row.test}`",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _record(test: str, text: str) -> None:
    """Replace the row of a test in the document, or add it after the last row."""
    lines = DOCUMENT.read_text().splitlines()
    rows = {found[1]: number for number, line in enumerate(lines) if (found := _ROW.match(line))}
    if test in rows:
        lines[rows[test]] = text
    else:
        header = next(number for number, line in enumerate(lines) if line.startswith("|---"))
        lines.insert(max(rows.values(), default=header) + 1, text)
    DOCUMENT.write_text("\n".join(lines) + "\n")
