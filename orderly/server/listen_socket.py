"""Takes the address that the shop is served on."""

from __future__ import annotations

import os
import socket


class AddressError(Exception):
    """The address cannot be listened on; the message says which and why."""


def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address. Nobody can connect to it until it listens.

    Raises:
        AddressError: the address is in use, not this machine's, or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise AddressError(f"Cannot listen on {host!r}: {_reason(error)}.") from error
    try:
        if os.name == "posix":  # on Windows it would let several servers share a port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise AddressError(f"Cannot listen on {host} port {port}: {_reason(error)}.") from error
    return bound


def listen(bound: socket.socket, backlog: int) -> None:
    """Let clients connect.

    Raises:
        AddressError: another process has begun to listen on the address in the meantime.
    """
    try:
        bound.listen(backlog)
    except OSError as error:
        host, port = bound.getsockname()[:2]
        raise AddressError(f"Cannot listen on {host} port {port}: {_reason(error)}.") from error


def url_of(bound: socket.socket, host: str) -> str:
    """Return the address as a person on this machine opens it."""
    port = bound.getsockname()[1]
    if host in {"", "0.0.0.0", "::"}:  # noqa: S104  # compared, not listened on
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _reason(error: OSError | UnicodeError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
