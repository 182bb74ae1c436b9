"""Test a running server with requests that Schemathesis generates from the contract."""

from __future__ import annotations

import secrets
import shlex
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import click
import pytest

from domain.account_tokens import EMAIL_VERIFICATION, PASSWORD_RESET
from integrations.payments.sandbox import SandboxProvider
from orderly.verification.accounts import Accounts
from orderly.verification.contract import OperationStatus
from orderly.verification.coverage import Coverage
from orderly.verification.generated import COVERAGE_SOURCE, HookData, record, run_schemathesis
from services import account_tokens, demo
from services.audit import audit
from tests.support.contract import CONTRACT
from tests.support.processes import Server, run_server
from tests.support.settings import NO_RATE_LIMIT_VARIABLES

# The server requires no verified addresses.
NOT_HERE = OperationStatus("register", "202")
REPORTS = Path("test-output/contract")


@pytest.fixture
def server(shop: str, tmp_path: Path) -> Iterator[Server]:
    """Run a server with products and an administrator."""
    with run_server(
        tmp_path / "data",
        ORDERLY_DATABASE_URL=shop,
        ORDERLY_COOKIE_SECURE="false",
        ORDERLY_LOG_LEVEL="error",
        ORDERLY_VALIDATE_RESPONSES="true",
        ORDERLY_WORKER="false",
        ORDERLY_SANDBOX_PAYMENTS="true",
        ORDERLY_SANDBOX_MAIL="true",
        ORDERLY_MANUAL_PAYMENT_EXPIRY_MINUTES="10080",
        **NO_RATE_LIMIT_VARIABLES,
    ) as server:
        demo.fill()
        yield server


def mail_tokens(server: Server, kind: str) -> list[str]:
    """Create tokens for new users, as the worker does when it sends the mails."""
    tokens = []
    for _ in range(20):
        body = {"email": f"{uuid4()}@example.com", "name": "New", "password": str(uuid4())}
        user = server.post("/api/v1/auth/register", body).json()
        token = account_tokens.issue(
            kind,
            user_id=UUID(user["id"]),
            email=body["email"],
            requested_at=datetime.now(UTC),
        )
        assert token
        tokens.append(token)
    return tokens


def test_generated_requests_get_documented_responses(
    request: pytest.FixtureRequest, repository: Path, coverage: Coverage, tmp_path: Path
) -> None:
    arguments = request.config.getoption("--schemathesis", None)
    if arguments is None:
        pytest.skip("takes minutes; run it with `tox -e contract`")
    if request.config.getoption("--random-seed"):
        # The random seed comes first, so that a `--seed` in the given arguments overrides it.
        arguments = f"--seed {secrets.randbelow(1 << 32)} {arguments}"
    reports = repository / REPORTS
    shutil.rmtree(reports, ignore_errors=True)
    server: Server = request.getfixturevalue("server")
    api_url = f"{server.url}/api/v1"
    hooks = HookData(
        SandboxProvider(tmp_path / "data").secret(),
        {
            "confirm_password_reset": mail_tokens(server, PASSWORD_RESET),
            "confirm_email_verification": mail_tokens(server, EMAIL_VERIFICATION),
        },
    )
    directory = tmp_path / "schemathesis"
    directory.mkdir()

    click.echo(f"\nschemathesis run {arguments}")
    # Warnings fail the run too: `fail-on` in schemathesis.toml.
    status = run_schemathesis(
        CONTRACT,
        api_url,
        Accounts.register(api_url, demo.ACCOUNTS[0][:2]),
        hooks,
        directory=directory,
        reports=reports,
        arguments=shlex.split(arguments),
    )
    assert 0 == status

    assert "" == server.stderr
    assert [] == audit()  # the database has no inconsistent rows
    record(reports / "events.ndjson", CONTRACT, coverage)
    # Generated requests need not reach every error: some errors depend on data or on concurrency.
    # The next test requires all statuses, from the examples and generated requests together.
    missing = coverage.missing_statuses(COVERAGE_SOURCE)
    assert [] == [str(status) for status in missing if status.is_success and status != NOT_HERE]
    if request.config.getoption("--every-link"):
        assert [] == coverage.missing_links(COVERAGE_SOURCE)


def test_the_whole_contract_was_covered(
    request: pytest.FixtureRequest, repository: Path, coverage: Coverage
) -> None:
    if request.config.getoption("--schemathesis", None) is None:
        pytest.skip(
            "needs the examples and generated requests in one run; run it with `tox -e contract`"
        )

    click.echo(f"\n{coverage.write(repository / REPORTS)}; see {REPORTS}/coverage.md")

    assert [] == coverage.missing_statuses()
    assert [] == coverage.missing_codes()
    assert [] == coverage.undocumented_codes()
    assert [] == coverage.missing_links()
