"""HTTP on one connection as uvicorn speaks it, but for how long a head may be and how it ends."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Whoever connects means to send a request at once, and so does whoever keeps a connection busy.
_PATIENCE_SECONDS = 1.0

# Far more than browsers and proxies send; a request's body has its own bound.
_LARGEST_HEAD_BYTES = 1 << 16
_TOO_LARGE = "Request header fields too large."


class Connection(HttpToolsProtocol):
    """A connection with a bound on heads; one more request is heard when the server is stopping.

    uvicorn keeps whatever comes before a body, or after it as trailers, in memory until it ends.

    And it closes at once what has no request under way. One that the client is just sending would
    fail for no reason, as it would where processes take turns on an address when they are replaced.
    """

    # How much has come in since a head was whole, or a piece of a body was there.
    _unheard_bytes = 0
    _is_last_request = False

    def data_received(self, data: bytes) -> None:
        """Take what has come in; refuse a head or trailers without an end."""
        self._unheard_bytes += len(data)
        super().data_received(data)
        if self._unheard_bytes > _LARGEST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(_TOO_LARGE)

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of a body."""
        self._unheard_bytes = 0
        super().on_body(body)

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
        self._unheard_bytes = 0
        super().on_headers_complete()
        if self._is_last_request:
            self.cycle.keep_alive = False
