"""What the HTTP server tells the application about a connection, in `scope["state"]`."""

from __future__ import annotations

from typing import Final

# Is set if there are too many connections, and this one may only make health checks.
HEALTH_CHECKS_ONLY: Final = "health_checks_only"
