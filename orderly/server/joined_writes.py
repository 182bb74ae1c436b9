"""A transport that writes the head and the body of a response with one system call.

uvicorn writes them one after the other, and uvloop makes a system call for each.
"""

from __future__ import annotations

import asyncio


class JoinedWrites(asyncio.Transport):
    """Wraps a transport. Buffers writes until the event loop runs its next callbacks."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._call_soon = loop.call_soon
        self._pending: list[bytes | bytearray | memoryview] = []
        # uvicorn calls these for each request: bind them directly, to save a method call.
        self.is_closing = transport.is_closing  # type: ignore[method-assign]
        self.resume_reading = transport.resume_reading  # type: ignore[method-assign]
        self.pause_reading = transport.pause_reading  # type: ignore[method-assign]
        self.get_extra_info = transport.get_extra_info  # type: ignore[method-assign]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Buffer data. It is written together with the data of the next calls."""
        if not self._pending:
            self._call_soon(self._flush)
        self._pending.append(data)

    def close(self) -> None:
        """Close the connection after all data has been sent."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close the connection immediately."""
        self._pending.clear()
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that were not sent yet."""
        return self._transport.get_write_buffer_size() + sum(map(len, self._pending))

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Use another protocol from now on."""
        self._transport.set_protocol(protocol)

    def _flush(self) -> None:
        pending = self._pending
        if pending and not self._transport.is_closing():
            self._transport.write(b"".join(pending) if len(pending) > 1 else pending[0])
        pending.clear()
