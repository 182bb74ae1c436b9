"""How the two minutes of generated requests are asked for."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option without which `test_schemathesis.py` is skipped, since it takes its time."""
    parser.addoption(
        "--schemathesis",
        metavar="ARGUMENTS",
        help="run Schemathesis with these arguments too, such as '--max-time 100'",
    )
    parser.addoption(
        "--every-link",
        action="store_true",
        help="fail where a link was not followed: the rare ones take longer than two minutes",
    )
