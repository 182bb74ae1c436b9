"""Send every example of the contract to running servers: the checks of `orderly verify`.

Every documented error is triggered on purpose and every link is followed, so the coverage does not
depend on generated requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from integrations.payments.sandbox import SandboxProvider
from orderly.verification.client import OnResponse, Servers
from orderly.verification.coverage import Coverage
from orderly.verification.examples import Check, checks
from orderly.verification.triggers import TRIGGERS
from services import users
from tests.support.accounts import ADMIN
from tests.support.contract import CONTRACT
from tests.support.contract_client import DatabaseClient


@pytest.fixture
def client(
    servers: Servers, data_dir: Path, coverage: Coverage, shop: str, on_response: OnResponse
) -> Iterator[DatabaseClient]:
    """Return a client of a shop that is empty except for an administrator."""
    email, password = ADMIN
    users.create_admin(email=email, name="Grace", password=password)
    servers = servers._replace(sandbox_secret=SandboxProvider(data_dir).secret())
    client = DatabaseClient(servers, shop, ADMIN, coverage=coverage, on_response=on_response)
    yield client
    client.close()


@pytest.mark.parametrize("check", list(checks(CONTRACT)), ids=str)
def test_the_server_does_what_the_contract_says(
    pytestconfig: pytest.Config, client: DatabaseClient, check: Check
) -> None:
    if check.name.endswith(" payload_too_large") and pytestconfig.getoption("--through-proxy"):
        pytest.skip("Prism hangs if a server responds before it has read the whole body")

    check.run(client)


def test_every_error_code_has_a_trigger() -> None:
    codes = {code.code for code in CONTRACT.codes()}

    assert codes <= {key.split()[-1] for key in TRIGGERS}
