"""Fixtures and command line options for tests of the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orderly.verification.client import OnResponse, Servers
from orderly.verification.coverage import Coverage
from tests.support.contract import CONTRACT
from tests.support.node_tools import REDOCLY
from tests.support.prism import assert_no_violations, prism_proxy
from tests.support.processes import Server, run_server
from tests.support.proxies import run_caddy, run_nginx
from tests.support.settings import NO_RATE_LIMIT_VARIABLES, SIGNING_KEY
from tests.support.stripe_server import StripeServer, run_stripe_server, stripe_settings


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add options that run slow tests, and tests that need tools outside of Python."""
    parser.addoption(
        "--schemathesis",
        metavar="ARGUMENTS",
        help="also run Schemathesis, with these arguments, such as '--max-time 150'",
    )
    parser.addoption(
        "--every-link",
        action="store_true",
        help="fail unless generated requests have followed every link; needs a long --max-time",
    )
    parser.addoption(
        "--random-seed",
        action="store_true",
        help="run Schemathesis with a random seed, which is printed",
    )
    parser.addoption(
        "--through-proxy",
        action="store_true",
        help="send the examples through Prism, which validates requests and responses too",
    )
    parser.addoption(
        "--behind",
        choices=("nginx", "caddy"),
        help="send the examples over HTTPS through this proxy, with its file in deploy/",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore tests that need an option or a tool, unless they are named on the command line."""
    ignored = {
        "test_schemathesis.py": config.getoption("--schemathesis", None) is None,
        "test_lint.py": not REDOCLY.exists(),
        "test_respect.py": not REDOCLY.exists(),
        "test_traffic.py": not REDOCLY.exists(),
    }
    named = any(collection_path.name in argument for argument in config.args)
    return True if ignored.get(collection_path.name) and not named else None


@pytest.fixture(scope="session")
def coverage() -> Coverage:
    """Return the coverage of the contract in this run."""
    return Coverage(CONTRACT)


@pytest.fixture(scope="session")
def stripe_server() -> Iterator[StripeServer]:
    """Run a fake of Stripe."""
    with run_stripe_server() as fake:
        yield fake


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data directory of the first server."""
    return tmp_path_factory.mktemp("unlimited") / "data"


@pytest.fixture(scope="session")
def servers(
    request: pytest.FixtureRequest,
    data_dir: Path,
    database_url: str,
    stripe_server: StripeServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Servers]:
    """Run two servers on one database.

    The first one has no rate limits, and keeps mails. The second one has limits of one attempt,
    and four requests, requires verified addresses, and has a mail server, which is never called.
    """
    common = {
        "ORDERLY_DATABASE_URL": database_url,
        "ORDERLY_SIGNING_KEY": SIGNING_KEY,
        "ORDERLY_COOKIE_SECURE": "false",
        "ORDERLY_VALIDATE_RESPONSES": "true",
        "ORDERLY_WORKER": "false",
        "ORDERLY_SANDBOX_PAYMENTS": "true",
        "ORDERLY_MANUAL_PAYMENT_EXPIRY_MINUTES": "10080",
        "ORDERLY_TRUSTED_PROXIES": "127.0.0.1",
        **stripe_settings(stripe_server),
    }
    with_mail = {"ORDERLY_SANDBOX_MAIL": "true", **NO_RATE_LIMIT_VARIABLES}
    low_limits = {
        "ORDERLY_VERIFIED_EMAIL_REQUIRED": "true",
        "ORDERLY_SMTP_HOST": "smtp.invalid",
        "ORDERLY_MAIL_FROM": "shop@example.com",
        "ORDERLY_SHOP_URL": "https://shop.example.com/",
        **dict.fromkeys(NO_RATE_LIMIT_VARIABLES, "1"),
        "ORDERLY_REQUEST_LIMIT": "4",
    }
    directory = tmp_path_factory.mktemp
    with (
        run_server(data_dir, **common, **with_mail) as unlimited,
        run_server(directory("rate_limited") / "data", **common, **low_limits) as rate_limited,
    ):
        if name := request.config.getoption("--behind"):
            with behind(name, unlimited, rate_limited, directory) as urls:
                yield Servers(*urls)
            return
        if not request.config.getoption("--through-proxy"):
            urls = (f"{unlimited.url}/api/v1", f"{rate_limited.url}/api/v1")
            yield Servers(*urls)
            return
        with (
            prism_proxy(unlimited.url, directory("proxy")) as first,
            prism_proxy(rate_limited.url, directory("proxy")) as second,
        ):
            yield Servers(first, second)


@contextmanager
def behind(
    name: str, first: Server, second: Server, directory: Callable[[str], Path]
) -> Iterator[tuple[str, str]]:
    """Run a proxy with HTTPS before each server; yield the URLs of the API there."""
    run = {"nginx": run_nginx, "caddy": run_caddy}[name]
    with (
        run(first.port, directory(name)) as one,
        run(second.port, directory(name)) as two,
        pytest.MonkeyPatch.context() as patch,
    ):
        trusted = directory("trusted") / "certificates.pem"
        trusted.write_text(
            "".join(proxy.certificate.certificate.read_text() for proxy in (one, two))
        )
        patch.setenv("SSL_CERT_FILE", str(trusted))  # OpenSSL reads it for each new client
        yield f"{one.url}/api/v1", f"{two.url}/api/v1"


@pytest.fixture
def on_response(request: pytest.FixtureRequest) -> OnResponse:
    """Check each response for violations that Prism found, if Prism is used."""
    if request.config.getoption("--through-proxy"):
        return assert_no_violations
    return lambda _request, _response: None
