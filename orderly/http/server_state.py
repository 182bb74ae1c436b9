"""Keys of the ASGI scope, and of its `state`, by which the server informs the application."""

from __future__ import annotations

from typing import Final

# Is set if there are too many connections, and this one may only make health checks.
HEALTH_CHECKS_ONLY: Final = "health_checks_only"
# Is set in the scope itself, if the connection was closed before the response was complete.
CLIENT_GONE: Final = "client_gone"
# Is the id of the request's trace, if traces are on.
TRACE_ID: Final = "trace_id"
# A function that returns whether the client is still connected.
IS_CONNECTED: Final = "is_connected"
