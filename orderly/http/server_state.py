"""Keys of the ASGI scope, and of its `state`, that the server sets for the application."""

from __future__ import annotations

from typing import Final

# True if there are too many connections, so that this one may only make health checks.
HEALTH_CHECKS_ONLY: Final = "health_checks_only"
# In the scope itself: True if the connection was closed before the response was complete.
CLIENT_GONE: Final = "client_gone"
# The id of the request's trace, if tracing is enabled.
TRACE_ID: Final = "trace_id"
# A function that returns whether the client is still connected.
IS_CONNECTED: Final = "is_connected"
