"""Sends a running server two minutes of requests that Schemathesis generates from the contract.

`python -m tests.contract.generated_requests [SECONDS]`: half of the time as a client, half as an
administrator. Exit status 1 where an answer departs from the contract, or the server logs a fault.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from services.demo import ACCOUNTS, Account
from tests.faults.processes import Server, serving

_SETTINGS = {
    "ORDERLY_ACCESS_TOKEN_MINUTES": "60",
    "ORDERLY_LOG_LEVEL": "warning",
    "ORDERLY_VALIDATE_RESPONSES": "true",
}


def main(seconds: int) -> int:
    """Run both halves; return the exit status."""
    with (
        tempfile.TemporaryDirectory() as directory,
        serving(Path(directory) / "data", "--demo", **_SETTINGS) as server,
    ):
        statuses = [_run(server, account, seconds // 2) for account in ACCOUNTS]
        faults = [event for event in server.events if event["level"] == "error"]
    for fault in faults:
        print(fault)  # noqa: T201
    return 1 if any(statuses) or faults else 0


def _run(server: Server, account: Account, seconds: int) -> int:
    print(f"\nAs {account.role}, {seconds} s", flush=True)  # noqa: T201
    command = [
        *("schemathesis", "run", f"{server.url}/openapi.json", "--url", f"{server.url}/api/v1"),
        *("--checks", "all", "--max-time", str(seconds), "--no-color"),
    ]
    return subprocess.run(
        command, env={**os.environ, **_credentials(server, account)}, check=False
    ).returncode


def _credentials(server: Server, account: Account) -> dict[str, str]:
    """Return what schemathesis.toml asks for: the tokens of two sessions, as one is used up."""
    body = {"email": account.email, "password": account.password}
    first, second = (server.post("/api/v1/auth/login", body).cookies for _ in range(2))
    return {
        "SCHEMATHESIS_ACCESS_TOKEN": first["orderly_access"],
        "SCHEMATHESIS_REFRESH_TOKEN": second["orderly_refresh"],
    }


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 120))
