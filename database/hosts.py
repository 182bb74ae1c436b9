"""Connects to one of the servers in a database URL, such as the primary of a cluster.

libpq can do this too, but its connect timeout applies only to blocking connects, and psycopg2
connects without blocking. So this module tries the hosts: libpq connects to one host at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import psycopg2
import structlog
from psycopg2 import extensions

from database.pool import Connection, NoResponse

# If the URL names several hosts, a host that did not respond is skipped for this time.
_SKIP_SECONDS = 5.0

Open = Callable[[Mapping[str, str], float], Connection]


class _Host(NamedTuple):
    """One host of the URL, as libpq's parameters; an empty one means libpq's default."""

    host: str = ""
    hostaddr: str = ""
    port: str = ""

    @property
    def parameters(self) -> dict[str, str]:
        return {name: value for name, value in self._asdict().items() if value}

    def __str__(self) -> str:
        name = self.host or self.hostaddr or "default"
        return f"{name} port {self.port}" if self.port else name


# State of the process, like its database binding. URLs that name the same hosts share it.
# Until when hosts that did not respond are skipped, on `time.monotonic()`
_skip_until: dict[_Host, float] = {}
# For each list of hosts and `target_session_attrs`, the host that accepted the latest connection
_latest: dict[tuple[tuple[_Host, ...], str | None], _Host] = {}


class Hosts:
    """The hosts of a database URL.

    `connect_timeout` is in seconds, and shared equally by the hosts. If the URL has its own
    `connect_timeout`, each host gets that time, as in libpq. With 0 in the URL, the
    argument applies.

    If the URL names several hosts and no `target_session_attrs`, only a server that accepts writes
    is used (`read-write`): the primary.
    """

    def __init__(self, url: str, connect_timeout: float) -> None:
        parameters = extensions.parse_dsn(url)
        self._hosts = _split(parameters)
        url_timeout = int(parameters.get("connect_timeout", 0))
        self._seconds = url_timeout if url_timeout > 0 else connect_timeout / len(self._hosts)
        attrs = parameters.get("target_session_attrs")
        self._key = self._hosts, attrs
        # Like libpq, try all hosts for a standby, then all for any server. Each call of libpq gets
        # one host, so libpq cannot do this itself.
        rounds = ("standby", "any") if attrs == "prefer-standby" else (attrs or "read-write",)
        self._rounds = [{"target_session_attrs": value} for value in rounds]

    def connect(self, connect_to: Open) -> Connection:
        """Return a connection to the first host that accepts one; try the last used host first.

        `connect_to` connects to one host, with parameters that replace those of the URL, and a
        time limit in seconds.

        Raises:
            psycopg2.OperationalError: no host accepts a connection; the message says why for each.
        """
        if len(self._hosts) == 1:
            try:
                return connect_to({}, self._seconds)
            except NoResponse as error:
                raise psycopg2.OperationalError(str(error)) from error
        failures: dict[str, Exception] = {}
        for parameters in self._rounds:
            for host in self._hosts_to_try():
                try:
                    connection = connect_to({**host.parameters, **parameters}, self._seconds)
                except psycopg2.OperationalError as error:
                    failures[str(host)] = error
                    if isinstance(error, NoResponse):
                        self._skip(host)
                else:
                    self._set_latest(host)
                    return connection
        skipped = {str(host): "did not respond recently" for host in self._hosts}
        texts = [f"{host}: {_first_line(error)}" for host, error in {**skipped, **failures}.items()]
        raise psycopg2.OperationalError("; ".join(texts))

    def _hosts_to_try(self) -> Iterator[_Host]:
        latest = _latest.get(self._key)
        for host in sorted(self._hosts, key=lambda host: host != latest):
            now = time.monotonic()
            skip_until = _skip_until.get(host)
            if skip_until is None or now >= skip_until:
                if skip_until is not None:
                    # It did not respond last time: only this caller tries it, others skip it.
                    _skip_until[host] = now + _SKIP_SECONDS
                yield host

    def _skip(self, host: _Host) -> None:
        if host not in _skip_until:
            _log().warning(
                "database_host_not_responding", host=str(host), seconds=round(self._seconds, 3)
            )
        _skip_until[host] = time.monotonic() + _SKIP_SECONDS

    def _set_latest(self, host: _Host) -> None:
        _skip_until.pop(host, None)
        if _latest.get(self._key, self._hosts[0]) != host:
            _log().warning("database_host_changed", host=str(host))
        _latest[self._key] = host


def _split(parameters: Mapping[str, str]) -> tuple[_Host, ...]:
    """Return the hosts of a URL.

    For a single host, return one `_Host` without values: libpq reads them from the URL.
    """
    names = parameters.get("host", "").split(",")
    addresses = parameters.get("hostaddr", "").split(",")
    ports = parameters.get("port", "").split(",")
    count = max(len(names), len(addresses))
    lists = [one * count if len(one) == 1 else one for one in (names, addresses, ports)]
    if count == 1 or any(len(one) != count for one in lists):  # libpq reports the mismatch
        return (_Host(),)
    return tuple(map(_Host, *lists))


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0]


def _log() -> Any:
    return structlog.get_logger("orderly")
