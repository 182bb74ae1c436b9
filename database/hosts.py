"""Connects to one of the servers in a database URL, such as the primary of a cluster.

libpq has this too, but not its time limits: they only apply to connects that block, and psycopg2
connects without blocking. So each host is tried here, and libpq connects to one host at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import psycopg2
import structlog
from psycopg2 import extensions

from database.pool import Connection, NoResponse

# With several hosts, for how long a host that did not respond is not tried again.
_SKIP_SECONDS = 5.0

Open = Callable[[Mapping[str, str], float], Connection]


class _Host(NamedTuple):
    """One host of the URL, as libpq's parameters; empty ones have libpq's default."""

    host: str = ""
    hostaddr: str = ""
    port: str = ""

    @property
    def parameters(self) -> dict[str, str]:
        return {name: value for name, value in self._asdict().items() if value}

    def __str__(self) -> str:
        name = self.host or self.hostaddr or "default"
        return f"{name} port {self.port}" if self.port else name


# What this process knows of hosts, for all URLs that name them: a part of its database binding.
# Until when hosts that did not respond are skipped, on `time.monotonic()`
_skip_until: dict[_Host, float] = {}
# For each list of hosts and `target_session_attrs`, the host that accepted the latest connection
_latest: dict[tuple[tuple[_Host, ...], str | None], _Host] = {}


class Hosts:
    """The hosts of a database URL.

    `connect_timeout` is in seconds, and shared equally by the hosts. If the URL has its own
    `connect_timeout`, each host gets that time, as in libpq; 0 means the default.

    If the URL names several hosts and no `target_session_attrs`, only a server that accepts writes
    is used (`read-write`): the primary.
    """

    def __init__(self, url: str, connect_timeout: float) -> None:
        parameters = extensions.parse_dsn(url)
        self._hosts = _split(parameters)
        in_url = int(parameters.get("connect_timeout", 0))
        self._seconds = in_url if in_url > 0 else connect_timeout / len(self._hosts)
        wanted = parameters.get("target_session_attrs")
        self._key = self._hosts, wanted
        # libpq tries all hosts twice for this value, which is no requirement for a single host.
        rounds = ("standby", "any") if wanted == "prefer-standby" else (wanted or "read-write",)
        self._rounds = [{"target_session_attrs": one} for one in rounds]

    def connect(self, connect_to: Open) -> Connection:
        """Return a connection to the first host that accepts one, beginning with the latest.

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
            for host in self._to_try():
                try:
                    connection = connect_to({**host.parameters, **parameters}, self._seconds)
                except psycopg2.OperationalError as error:
                    failures[str(host)] = error
                    if isinstance(error, NoResponse):
                        self._skip(host)
                else:
                    self._begin_with(host)
                    return connection
        skipped = {str(host): "did not respond recently" for host in self._hosts}
        texts = [f"{host}: {_first_line(error)}" for host, error in {**skipped, **failures}.items()]
        raise psycopg2.OperationalError("; ".join(texts))

    def _to_try(self) -> Iterator[_Host]:
        latest = _latest.get(self._key)
        for host in sorted(self._hosts, key=lambda host: host != latest):
            now = time.monotonic()
            skip_until = _skip_until.get(host)
            if skip_until is None or now >= skip_until:
                if skip_until is not None:
                    # It did not respond the last time: only this caller waits for it again.
                    _skip_until[host] = now + _SKIP_SECONDS
                yield host

    def _skip(self, host: _Host) -> None:
        if host not in _skip_until:
            _log().warning(
                "database_host_not_responding", host=str(host), seconds=round(self._seconds, 3)
            )
        _skip_until[host] = time.monotonic() + _SKIP_SECONDS

    def _begin_with(self, host: _Host) -> None:
        _skip_until.pop(host, None)
        if _latest.get(self._key, self._hosts[0]) != host:
            _log().warning("database_host_changed", host=str(host))
        _latest[self._key] = host


def _split(parameters: Mapping[str, str]) -> tuple[_Host, ...]:
    """Return the hosts of a URL. If it has only one, the URL itself says all about it."""
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
