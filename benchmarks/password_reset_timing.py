"""Checks that the response time of a password reset request does not reveal a registered email.

`python -m benchmarks.password_reset_timing [ROUNDS]` alternates requests for a registered and for
an unknown email, while the server's worker sends the mails. It prints both medians and their ratio,
and exits with status 1 if the medians differ by more than 5 %.
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

_MAX_DIFFERENCE = 0.05
_KNOWN = {"email": "known@example.com", "name": "Known", "password": "blackberry strudel"}
_SETTINGS = {
    "ORDERLY_LOG_LEVEL": "warning",
    "ORDERLY_SANDBOX_MAIL": "true",
    **{f"ORDERLY_{name.upper()}": str(most) for name, most in NO_RATE_LIMITS.items()},
}


def main(rounds: int) -> int:
    """Measure and print; return the exit status."""
    # Of the same length, so that the requests are equally large.
    emails = {"a registered email": _KNOWN["email"], "an unknown email": "other@example.com"}
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
                response = client.post("/api/v1/auth/password-resets", json={"email": emails[kind]})
                elapsed = time.perf_counter() - began
                assert response.status_code == httpx2.codes.ACCEPTED, response.text
                if number:  # the first round warms up
                    seconds[kind].append(elapsed)
    medians = {kind: statistics.median(values) for kind, values in seconds.items()}
    for kind, median in medians.items():
        print(f"{kind:<20} median {median * 1000:7.3f} ms of {rounds}")
    ratio = max(medians.values()) / min(medians.values())
    print(f"{'ratio':<20} {ratio:.3f}")
    return 0 if ratio <= 1 + _MAX_DIFFERENCE else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500))
