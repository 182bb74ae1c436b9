"""uvicorn's HTTP/1.1 protocol with size and time limits, and a grace period at shutdown."""

from __future__ import annotations

import asyncio
import select
from enum import Enum
from typing import Any

import structlog
import uuid_utils
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from orderly.http import problems
from orderly.http.security_headers import API_POLICY
from orderly.http.server_state import CLIENT_GONE, HEALTH_CHECKS_ONLY, IS_CONNECTED
from orderly.server.connection_guard import ConnectionGuard
from orderly.server.joined_writes import JoinedWrites

# How long an idle connection stays open after a shutdown begins: a request may be on its way.
_SHUTDOWN_GRACE_SECONDS = 1.0

# Far more than browsers and proxies send. The size of a body has its own limit.
_MAX_HEADER_BYTES = 1 << 16
_TOO_LARGE = f"The header or trailer section of the request exceeds {_MAX_HEADER_BYTES} bytes."
_NOT_HTTP = "The request is not valid HTTP/1.1."

# The time limit for a body grows by a second for this number of bytes.
_MIN_BYTES_PER_SECOND = 4096
_TOO_SLOW = "The request did not arrive in time."


# poll(2): the client has closed its side of the connection. This event is reported even if there is
# unread data. Only Linux has it.
_PEER_CLOSED: int = getattr(select, "POLLRDHUP", 0)


class _Wait(Enum):
    """What a connection waits for the client to do."""

    SEND_HEAD = 1
    SEND_BODY = 2
    READ = 3
    CLOSE = 4


# The unsent bytes are counted in units of this size. If the count changes, the client is reading.
_PROGRESS_BYTES = 1 << 16


class HttpProtocol(HttpToolsProtocol):
    """One HTTP connection. Differs from uvicorn's protocol in five ways.

    uvicorn buffers a header or trailer section of any size; here the size is limited.

    uvicorn waits as long as a client takes to send a request or to read a response, and accepts any
    number of connections; here a `ConnectionGuard` limits both.

    uvicorn responds with plain text to a request that it cannot parse; here the response is a
    problem document, as for all other errors.

    uvicorn closes an idle connection as soon as a shutdown begins. A request that the client is
    just sending then fails. Here an idle connection stays open for a grace period.

    uvicorn reports a disconnect only as an `http.disconnect` event, for which the application must
    wait; here it can also ask whether the client is still connected.
    """

    # Bytes received since the last complete header section or piece of a body.
    _header_bytes = 0
    _body_bytes = 0
    _is_shutting_down = False
    # Counts how often the client has read enough for the server to continue writing.
    _resume_count = 0

    def __init__(self, *args: Any, guard: ConnectionGuard, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard = guard
        self._wait_state: tuple[object, ...] = ()
        self._wait_since = 0.0
        self._poller: select.poll | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch the connection."""
        super().connection_made(JoinedWrites(transport, self.loop))
        self.app_state = {**self.app_state, IS_CONNECTED: self.is_connected}
        self._guard.add(self, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the current request, and stop watching the connection."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.scope[CLIENT_GONE] = True  # type: ignore[typeddict-unknown-key]
        super().connection_lost(exc)
        # If the client has reset the connection, uvicorn lets this timer run, which would keep this
        # object until the end of the keep-alive time.
        self._unset_keepalive_if_required()
        self.app_state = {}  # breaks a reference cycle: it contains a method of this object
        self._guard.remove(self)

    def data_received(self, data: bytes) -> None:
        """Parse received data; respond 400 and close if the headers or trailers are too large."""
        self._header_bytes += len(data)
        super().data_received(data)
        if self._header_bytes > _MAX_HEADER_BYTES and not self.transport.is_closing():
            self._refuse("malformed_request", _TOO_LARGE)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's own text
        """Respond to a request that is not valid HTTP."""
        self._refuse("malformed_request", _NOT_HTTP)

    def on_body(self, body: bytes) -> None:
        """Pass on a piece of a body, which does not count as header bytes."""
        self._header_bytes = 0
        self._body_bytes += len(body)
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Start the request; during a shutdown, close the connection after its response."""
        self._header_bytes = self._body_bytes = 0
        super().on_headers_complete()
        if self._is_shutting_down:
            self.cycle.keep_alive = False

    def resume_writing(self) -> None:
        """Continue writing: the client has read enough."""
        self._resume_count += 1
        super().resume_writing()

    def shutdown(self) -> None:
        """Close the connection after the current request, or after the grace period if idle."""
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and not self._is_shutting_down:
            self._is_shutting_down = True
            self.loop.call_later(_SHUTDOWN_GRACE_SECONDS, self.shutdown)
        else:
            super().shutdown()

    def is_connected(self) -> bool:
        """Return whether the client has not closed the connection.

        The event loop notices a closed connection only in one of its next iterations, and not at
        all while reading is paused.
        """
        if self.transport.is_closing():
            return False
        if not _PEER_CLOSED:
            return True
        if self._poller is None:
            self._poller = select.poll()
            self._poller.register(self.transport.get_extra_info("socket").fileno(), _PEER_CLOSED)
        return not self._poller.poll(0)

    @property
    def is_idle(self) -> bool:
        """Whether the connection is open between two requests: uvicorn's timeout is running."""
        return self.timeout_keep_alive_task is not None

    def serve_health_checks_only(self) -> None:
        """Refuse all requests that are not health checks."""
        self.app_state = {**self.app_state, HEALTH_CHECKS_ONLY: True}

    def close(self) -> None:
        """Close the connection when all written data has been sent."""
        self.transport.close()

    def abort(self) -> None:
        """Close the connection immediately, and discard unsent data."""
        self.transport.abort()

    def check_time(self, now: float) -> None:
        """Close the connection if the server has waited for its client for too long.

        The state of the wait is compared with that at the previous call. So the time of a wait
        begins at the first call that observes it.
        """
        wait = self._wait()
        unsent = self.transport.get_write_buffer_size() // _PROGRESS_BYTES
        state = (wait, self.cycle, self._resume_count, unsent)
        if state != self._wait_state:
            self._wait_state, self._wait_since = state, now
        elif wait is not None and now - self._wait_since >= self._time_limit(wait):
            self._end(wait)

    def _wait(self) -> _Wait | None:
        if self.transport.is_closing():
            return _Wait.CLOSE
        if self.flow.write_paused:
            return _Wait.READ
        if self.cycle is not None and not self.cycle.response_complete:
            is_sending = self.cycle.more_body and not self.flow.read_paused
            return _Wait.SEND_BODY if is_sending else None
        return None if self.is_idle else _Wait.SEND_HEAD

    def _time_limit(self, wait: _Wait) -> float:
        if wait is _Wait.SEND_HEAD:
            return self._guard.head_seconds
        if wait is _Wait.SEND_BODY:
            return self._guard.transfer_seconds + self._body_bytes / _MIN_BYTES_PER_SECOND
        return self._guard.transfer_seconds

    def _end(self, wait: _Wait) -> None:
        if wait in {_Wait.READ, _Wait.CLOSE}:
            self.transport.abort()  # close() would wait until the client has read everything
            return
        if wait is _Wait.SEND_BODY:
            can_respond = not self.cycle.response_started
        else:  # uvicorn creates a scope at the first byte of a head, and a cycle at its end
            can_respond = self.scope is not (self.cycle and self.cycle.scope)
        if can_respond:
            self._refuse("request_timeout", _TOO_SLOW)
        self.transport.close()

    def _refuse(self, code: str, detail: str) -> None:
        """Respond with a problem document, without the application, and close the connection."""
        request_id = str(uuid_utils.uuid7())
        body = problems.document(code, detail, request_id)
        status = problems.PROBLEM_TYPES[code].status
        headers = [
            *self.server_state.default_headers,
            *API_POLICY,
            *problems.headers_for(code),
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", request_id.encode()),
            (b"connection", b"close"),
        ]
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + body)
        self.transport.close()
        structlog.get_logger("orderly").info(
            "request_refused",
            request_id=request_id,
            status=status,
            problem=code,
            reason=detail,
            client=self.client[0] if self.client else None,
        )
