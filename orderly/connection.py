"""HTTP on one connection, as uvicorn speaks it, but for how it ends when the server stops."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Whoever connects means to send a request at once.
_PATIENCE_SECONDS = 1.0


class Connection(HttpToolsProtocol):
    """A connection whose first request is still heard when the server has begun to stop.

    uvicorn closes the connections that it has accepted but read no request from. Where processes
    take turns on an address, as when they are replaced, such a request would fail for no reason.
    """

    _has_asked = False
    _is_last_request = False

    def shutdown(self) -> None:
        """Close the connection as soon as no request is under way on it, or about to be."""
        if not self._has_asked and not self._is_last_request:
            self._is_last_request = True
            self.loop.call_later(_PATIENCE_SECONDS, self.shutdown)
        else:
            super().shutdown()

    def on_headers_complete(self) -> None:
        """Begin to answer a request."""
        self._has_asked = True
        super().on_headers_complete()
        if self._is_last_request:
            self.cycle.keep_alive = False
