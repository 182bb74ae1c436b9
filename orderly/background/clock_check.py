"""Compares the clock of this machine with that of the database server."""

from __future__ import annotations

import structlog

from database import server_state

# Above this, the clocks need attention: tokens of other servers have a leeway of 5 seconds.
MAX_SKEW_SECONDS = 2.0


class ClockCheck:
    """Logs when the clocks begin to differ by more than `MAX_SKEW_SECONDS`, and when that ends."""

    def __init__(self) -> None:
        self._is_skewed = False

    def __call__(self) -> None:
        """Compare the clocks.

        Raises:
            Unavailable: the server does not respond.
        """
        state = server_state.check()
        skew, error = state.clock_skew_seconds, state.clock_error_seconds
        if abs(skew) - error > MAX_SKEW_SECONDS:
            if not self._is_skewed:
                self._log().warning(
                    "clock_skew",
                    seconds=round(skew, 3),
                    reason="The clocks of this machine and of the database server differ.",
                    remedy="Check NTP on both: see docs/operations/monitoring.md.",
                )
            self._is_skewed = True
        elif self._is_skewed and abs(skew) + error < MAX_SKEW_SECONDS:
            self._log().info("clock_skew_ended", seconds=round(skew, 3))
            self._is_skewed = False

    def _log(self) -> structlog.BoundLogger:
        logger: structlog.BoundLogger = structlog.get_logger("orderly")
        return logger
