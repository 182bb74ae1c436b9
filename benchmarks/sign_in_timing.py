"""Checks that the response time of a refused sign-in does not reveal a registered email.

`python -m benchmarks.sign_in_timing [ROUNDS]` alternates sign-ins with a wrong password for a
registered and for an unknown email, against a server with production hashing. It prints both
medians and their ratio, and exits with status 1 if the medians differ by more than 10 %.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx2

from tests.support.processes import run_server
from tests.support.settings import NO_RATE_LIMITS

_MAX_DIFFERENCE = 0.1
_KNOWN = {"email": "known@example.com", "name": "Known", "password": "blackberry strudel"}
_SETTINGS = {
    "ORDERLY_PASSWORD_HASH": "standard",
    "ORDERLY_LOG_LEVEL": "warning",
    **{f"ORDERLY_{name.upper()}": str(most) for name, most in NO_RATE_LIMITS.items()},
}


def main(rounds: int) -> int:
    """Measure and print; return the exit status."""
    emails = {"a registered email": _KNOWN["email"], "an unknown email": "unknown@example.com"}
    seconds: dict[str, list[float]] = {kind: [] for kind in emails}
    with (
        tempfile.TemporaryDirectory() as directory,
        run_server(Path(directory) / "data", **_SETTINGS) as server,
        httpx2.Client(base_url=server.url, timeout=30) as client,
    ):
        client.post("/api/v1/auth/register", json=_KNOWN).raise_for_status()
        for number in range(rounds + 1):
            kinds = list(emails)
            for kind in kinds if number % 2 else reversed(kinds):
                began = time.perf_counter()
                response = client.post(
                    "/api/v1/auth/login", json={"email": emails[kind], "password": "not this one"}
                )
                elapsed = time.perf_counter() - began
                assert response.status_code == httpx2.codes.UNAUTHORIZED, response.text
                if number:  # the first round warms up
                    seconds[kind].append(elapsed)
    medians = {kind: statistics.median(values) for kind, values in seconds.items()}
    for kind, median in medians.items():
        print(f"{kind:<20} median {median * 1000:7.2f} ms of {rounds}")
    ratio = max(medians.values()) / min(medians.values())
    print(f"{'ratio':<20} {ratio:.3f}")
    return 0 if ratio <= 1 + _MAX_DIFFERENCE else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 60))
