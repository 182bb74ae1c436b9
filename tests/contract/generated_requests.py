"""Sends a running server two minutes of requests that Schemathesis generates from the contract.

`python -m tests.contract.generated_requests [SECONDS]`: a third of the time as two clients who must
not see each other's objects, a third as a client, and a third as an administrator. Exit status 1
where an answer departs from the contract, or the server logs a fault.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from services.demo import ACCOUNTS
from tests.conftest import UNLIMITED
from tests.faults.processes import Server, serving

_SETTINGS = {
    "ORDERLY_LOG_LEVEL": "warning",
    "ORDERLY_VALIDATE_RESPONSES": "true",
    **{f"ORDERLY_{name.upper()}": str(most) for name, most in UNLIMITED.items()},
}
_HERE = Path(__file__).parent
# As tests/contract/accounts.json signs them in
_PEERS = (
    {"email": "alice@orderly.example", "name": "Alice", "password": "copper teapot 31"},
    {"email": "bob@orderly.example", "name": "Bob", "password": "walnut lantern 58"},
)


def main(seconds: int) -> int:
    """Run all three; return the exit status."""
    with (
        tempfile.TemporaryDirectory() as directory,
        serving(Path(directory) / "data", "--demo", **_SETTINGS) as server,
    ):
        # Administrators last: they disable people, the contract's own example among them.
        print(f"\nAs two clients, {seconds // 3} s", flush=True)  # noqa: T201
        for peer in _PEERS:
            server.post("/api/v1/auth/register", peer).raise_for_status()
        variables = {
            "SCHEMATHESIS_ACCOUNTS": str(_HERE / "accounts.json"),
            **_account(_PEERS[0]["email"], _PEERS[0]["password"]),
        }
        statuses = [_run(server, str(_HERE / "peers.toml"), variables, seconds // 3)]
        for account in reversed(ACCOUNTS):
            print(f"\nAs {account.role}, {seconds // 3} s", flush=True)  # noqa: T201
            variables = _account(account.email, account.password)
            statuses.append(_run(server, "schemathesis.toml", variables, seconds // 3))
        faults = [event for event in server.events if event["level"] == "error"]
    for fault in faults:
        print(fault)  # noqa: T201
    return 1 if any(statuses) or faults else 0


def _account(email: str, password: str) -> dict[str, str]:
    return {"SCHEMATHESIS_EMAIL": email, "SCHEMATHESIS_PASSWORD": password}


def _run(server: Server, configuration: str, variables: dict[str, str], seconds: int) -> int:
    command = [
        *("schemathesis", "--config-file", configuration),
        *("run", f"{server.url}/openapi.json", "--url", f"{server.url}/api/v1"),
        *("--checks", "all", "--max-time", str(seconds), "--no-color"),
    ]
    return subprocess.run(command, env={**os.environ, **variables}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 120))
