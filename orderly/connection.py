"""HTTP on one connection, as uvicorn speaks it, but for how it ends when the server stops."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Whoever connects means to send a request at once, and so does whoever keeps a connection busy.
_PATIENCE_SECONDS = 1.0


class Connection(HttpToolsProtocol):
    """A connection on which one more request is heard when the server has begun to stop.

    uvicorn closes at once what has no request under way. One that the client is just sending would
    fail for no reason, as it would where processes take turns on an address when they are replaced.
    """

    _is_last_request = False

    def shutdown(self) -> None:
        """Close the connection as soon as no request is under way on it, or about to be."""
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and not self._is_last_request:
            self._is_last_request = True
            self.loop.call_later(_PATIENCE_SECONDS, self.shutdown)
        else:
            super().shutdown()

    def on_headers_complete(self) -> None:
        """Begin to answer a request."""
        super().on_headers_complete()
        if self._is_last_request:
            self.cycle.keep_alive = False
