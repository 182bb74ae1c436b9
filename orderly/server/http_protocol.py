"""uvicorn's HTTP/1.1 protocol with a limit on header size and a later close at shutdown."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# How long an idle connection stays open after a shutdown began, for a request that is being sent.
_SHUTDOWN_GRACE_SECONDS = 1.0

# Far more than browsers and proxies send. The size of a body has its own limit.
_MAX_HEADER_BYTES = 1 << 16
_TOO_LARGE = "Request header fields too large."


class HttpProtocol(HttpToolsProtocol):
    """One HTTP connection. Differs from uvicorn's protocol in two ways.

    uvicorn buffers a header or trailer section of any size; here the size is limited.

    uvicorn closes an idle connection as soon as a shutdown begins. If the client is just sending a
    request, that request fails. Here an idle connection stays open for a moment longer.
    """

    # Bytes received since the last complete header section or piece of a body.
    _header_bytes = 0
    _is_shutting_down = False

    def data_received(self, data: bytes) -> None:
        """Parse received data; respond 400 and close if the headers or trailers are too large."""
        self._header_bytes += len(data)
        super().data_received(data)
        if self._header_bytes > _MAX_HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response(_TOO_LARGE)

    def on_body(self, body: bytes) -> None:
        """Pass on a piece of a body, which does not count as header bytes."""
        self._header_bytes = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Start the request; during a shutdown, close the connection after its response."""
        self._header_bytes = 0
        super().on_headers_complete()
        if self._is_shutting_down:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Close the connection after the current request, or after the grace period if idle."""
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and not self._is_shutting_down:
            self._is_shutting_down = True
            self.loop.call_later(_SHUTDOWN_GRACE_SECONDS, self.shutdown)
        else:
            super().shutdown()
