"""Opens the socket that the server listens on."""

from __future__ import annotations

import os
import socket

_DUPLICATES = 15
_LOCAL = {"", "0.0.0.0", "::"}  # noqa: S104  # compared, not listened on
_LOOPBACK = "127.0.0.1"


class AddressError(Exception):
    """The server cannot listen on an address; the message names the address and the reason."""


def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address. Clients cannot connect before `listen`.

    Raises:
        AddressError: the address is in use, not permitted, or not an address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        server_socket = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise AddressError(f"Cannot listen on {host!r}: {_reason(error)}.") from error
    try:
        if os.name == "posix":  # on Windows, this option lets two servers use the same port
            server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server_socket.bind(address)
    except OSError as error:
        server_socket.close()
        raise AddressError(f"Cannot listen on {host} port {port}: {_reason(error)}.") from error
    return server_socket


def listen(server_socket: socket.socket, backlog: int) -> None:
    """Let clients connect.

    Raises:
        AddressError: another process has started to listen on the address since `open_socket`.
    """
    try:
        server_socket.listen(backlog)
    except OSError as error:
        host, port = server_socket.getsockname()[:2]
        raise AddressError(f"Cannot listen on {host} port {port}: {_reason(error)}.") from error


def accepting_sockets(server_socket: socket.socket) -> list[socket.socket]:
    """Return the socket and duplicates of it, which a server process accepts connections from.

    uvloop accepts one connection from each socket in an iteration of its event loop. Under overload
    an iteration takes milliseconds, and new connections, also those of health checks, would wait
    for as many iterations as there are connections before them.
    """
    return [server_socket, *(server_socket.dup() for _ in range(_DUPLICATES))]


def url_of(server_socket: socket.socket, host: str) -> str:
    """Return the URL of the server for a browser on this machine.

    It has the name `localhost` if possible. Browsers send cookies from pages on another port of the
    same name, but not from `localhost` to `127.0.0.1`.
    """
    port = server_socket.getsockname()[1]
    if host in _LOCAL or (host == _LOOPBACK and _localhost_is_loopback()):
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _localhost_is_loopback() -> bool:
    try:
        found = socket.getaddrinfo("localhost", None, socket.AF_INET)
    except OSError:
        return False
    return any(address[0] == _LOOPBACK for *_, address in found)


def _reason(error: OSError | UnicodeError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
