"""How the contract is exercised, and who does so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.coverage import Coverage
from tests.contract.proxy import agree, proxying
from tests.contract.visitor import Watch
from tests.support.contract import LINTER
from tests.support.processes import run_server
from tests.support.settings import NO_RATE_LIMIT_VARIABLES


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option without which `test_schemathesis.py` is skipped, since it takes its time."""
    parser.addoption(
        "--schemathesis",
        metavar="ARGUMENTS",
        help="run Schemathesis with these arguments too, such as '--max-time 150'",
    )
    parser.addoption(
        "--every-link",
        action="store_true",
        help="fail where generated requests did not follow a link: the rare ones take long",
    )
    parser.addoption(
        "--random-seed",
        action="store_true",
        help="have Schemathesis use a seed that is chosen, and printed, for this run",
    )
    parser.addoption(
        "--through-proxy",
        action="store_true",
        help="have Prism, which reads the contract too, judge what the examples' server answers",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave to their own environments of tox the tests that need what those bring, or its time."""
    named = any(collection_path.name in one for one in config.args)
    elsewhere = {
        "test_schemathesis.py": config.getoption("--schemathesis", None) is None,
        "test_lint.py": not LINTER.exists(),
    }
    return True if elsewhere.get(collection_path.name) and not named else None


@pytest.fixture(scope="session")
def coverage() -> Coverage:
    """Return the record of all that this run exercises of the contract."""
    return Coverage()


@pytest.fixture(scope="session")
def entrances(
    request: pytest.FixtureRequest, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """Serve a shop at two entrances; at the second, hardly anything may be tried twice."""
    common = {
        "ORDERLY_DATABASE_URL": database_url,
        "ORDERLY_SIGNING_KEY": "a signing key for tests, 32 bytes long",
        "ORDERLY_COOKIE_SECURE": "false",
        "ORDERLY_VALIDATE_RESPONSES": "true",
        "ORDERLY_WORKER": "false",
    }
    throttled = dict.fromkeys(NO_RATE_LIMIT_VARIABLES, "1")
    directory = tmp_path_factory.mktemp
    with (
        run_server(directory("contract") / "data", **common, **NO_RATE_LIMIT_VARIABLES) as usual,
        run_server(directory("throttled") / "data", **common, **throttled) as strict,
    ):
        if not request.config.getoption("--through-proxy"):
            yield f"{usual.url}/api/v1", f"{strict.url}/api/v1"
            return
        with (
            proxying(usual.url, directory("proxy")) as first,
            proxying(strict.url, directory("proxy")) as second,
        ):
            yield first, second


@pytest.fixture
def watch(request: pytest.FixtureRequest) -> Watch:
    """Look at each answer as the proxy does, where there is one."""
    if request.config.getoption("--through-proxy"):
        return agree
    return lambda _request, _answer: None
