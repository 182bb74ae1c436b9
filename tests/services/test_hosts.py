"""A database URL with several hosts: each gets its share of the time, and the primary is found."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg2
import pytest

from database import binding, tls
from database.binding import database
from database.connection import Connector
from database.hosts import Hosts
from database.transactions import autocommit
from domain.errors import Unavailable
from tests.support.database import autocommit_scalar, scalar
from tests.support.standby import Replica, primary_and_standby, url_of_both


class Silent:
    """A server that accepts connections and never responds."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(directory / ".s.PGSQL.5432"))
        self._socket.listen()
        self._socket.setblocking(False)

    def close(self) -> None:
        self._socket.close()

    def accept(self) -> int:
        """Return how many clients have connected since the last call."""
        count = 0
        with suppress(BlockingIOError):
            while True:
                self._socket.accept()[0].close()
                count += 1
        return count

    def before(self, url: str, **parameters: str) -> str:
        """Return a URL with this server as the first host, and the one of a URL as the second."""
        parts = urlsplit(url)
        query = parts.query.replace("host=", f"host={quote(str(self.directory), safe='')},")
        more = "".join(f"&{name}={value}" for name, value in parameters.items())
        return parts._replace(query=query + more).geturl()


@pytest.fixture
def silent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Silent]:
    with closing(Silent(tmp_path_factory.mktemp("s"))) as server:
        yield server


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Replica, Replica]]:
    with primary_and_standby(tmp_path_factory.mktemp("r")) as pair:
        yield pair


def connector(url: str, connect_timeout: float = 5) -> Connector:
    return Connector(url, connect_timeout=connect_timeout, statement_timeout=5, lock_timeout=5)


def test_a_host_that_does_not_respond_is_tried_once(database_url: str, silent: Silent) -> None:
    connect = connector(silent.before(database_url), connect_timeout=2)

    for expected in (1, 0, 0):
        with closing(connect()) as connection:
            assert str(silent.directory) not in connection.info.host
        assert expected == silent.accept()


def test_a_skipped_host_is_tried_again_by_one_caller(
    database_url: str, silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("database.hosts._SKIP_SECONDS", 0.0)
    connect = connector(silent.before(f"{database_url}&target_session_attrs=standby"), 0.4)

    for _ in range(2):
        with pytest.raises(psycopg2.OperationalError) as raised:
            connect()
        assert "did not respond within 0.2 s" in str(raised.value)
        assert "server is not in hot standby mode" in str(raised.value)
        assert 1 == silent.accept()

    monkeypatch.setattr("database.hosts._SKIP_SECONDS", 60.0)
    for expected in (1, 0):
        with pytest.raises(psycopg2.OperationalError):
            connect()
        assert expected == silent.accept()


def test_an_error_names_each_host_and_its_reason(silent: Silent) -> None:
    url = silent.before("postgresql://shop:hunter2@/shop?host=/nowhere&port=5432")
    connect = connector(url, connect_timeout=0.2)

    for reason in ("the server did not respond within 0.1 s", "did not respond recently"):
        with pytest.raises(psycopg2.OperationalError) as raised:
            connect()
        first, second = str(raised.value).split("; ")
        assert f"{silent.directory} port 5432: {reason}" == first
        assert second.startswith("/nowhere port 5432: ")
        assert "No such file or directory" in second
        assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(("in_url", "seconds"), [("1", "1 s"), ("0", "0.25 s")])
def test_connect_timeout_in_the_url_is_the_time_of_each_host(
    silent: Silent, in_url: str, seconds: str
) -> None:
    url = silent.before("postgresql://shop@/shop?host=/nowhere", connect_timeout=in_url)

    with pytest.raises(psycopg2.OperationalError, match=f"did not respond within {seconds};"):
        connector(url, connect_timeout=0.5)()


def test_connect_timeout_in_the_url_is_the_time_of_a_single_host(silent: Silent) -> None:
    binding.bind(f"host={silent.directory} connect_timeout=1", connect_timeout=600)

    with pytest.raises(Unavailable) as raised:
        autocommit_scalar()

    assert "did not respond within 1 s" in str(raised.value.__cause__)


def test_tcp_user_timeout_in_the_url_replaces_the_default(database_url: str) -> None:
    for more, expected in (("", "5000"), ("&tcp_user_timeout=1234", "1234")):
        with closing(connector(database_url + more)()) as connection:
            assert expected == connection.info.dsn_parameters["tcp_user_timeout"]


@pytest.mark.parametrize(
    ("host", "hostaddr", "port"),
    [
        ("one,two", None, None),
        ("one,two", "192.0.2.1,192.0.2.2", "5433"),
        (None, "192.0.2.1,192.0.2.2", "5432,5433"),
        ("one,", None, "5432,5433"),
    ],
)
def test_each_host_is_tried_with_its_own_address_and_port(
    host: str | None, hostaddr: str | None, port: str | None
) -> None:
    given = {"host": host, "hostaddr": hostaddr, "port": port}
    parts = {name: value for name, value in given.items() if value}
    tried = []

    def refuse(parameters: object, seconds: float) -> psycopg2.extensions.connection:
        tried.append((parameters, seconds))
        raise psycopg2.OperationalError("no")

    hosts = Hosts(psycopg2.extensions.make_dsn(**parts), 5)
    with pytest.raises(psycopg2.OperationalError):
        hosts.connect(refuse)

    expected = []
    for number in (0, 1):
        one = {
            name: value.split(",")[number % (value.count(",") + 1)] for name, value in parts.items()
        }
        kept = {name: value for name, value in one.items() if value}
        expected.append(({**kept, "target_session_attrs": "read-write"}, 2.5))
    assert expected == tried


def test_a_list_of_ports_that_does_not_fit_the_hosts_is_reported_by_libpq() -> None:
    with pytest.raises(psycopg2.OperationalError, match="could not match 3 port numbers"):
        connector("host=one,two port=1,2,3")()


@pytest.mark.parametrize(
    ("wanted", "is_standby"),
    [
        (None, False),
        ("read-write", False),
        ("primary", False),
        ("any", True),
        ("standby", True),
        ("read-only", True),
        ("prefer-standby", True),
    ],
)
@pytest.mark.parametrize("standby_first", [False, True])
def test_target_session_attrs_of_the_url_chooses_the_server(
    replicas: tuple[Replica, Replica], wanted: str | None, is_standby: bool, standby_first: bool
) -> None:
    primary, standby = replicas
    order = (standby, primary) if standby_first else (primary, standby)
    url = url_of_both(*(one.url for one in order))
    if wanted is not None:
        url += f"&target_session_attrs={wanted}"
    if wanted == "any":
        is_standby = standby_first
    binding.bind(url)

    assert is_standby is autocommit_scalar("SELECT pg_is_in_recovery()")


def test_prefer_standby_uses_the_primary_if_there_is_no_standby(
    database_url: str, silent: Silent
) -> None:
    url = silent.before(database_url, target_session_attrs="prefer-standby")

    with closing(connector(url, connect_timeout=0.4)()) as connection:
        assert "off" == connection.get_parameter_status("in_hot_standby")


def test_the_first_write_to_a_read_only_server_replaces_all_connections(shop: str) -> None:
    pids = _pids_of_two_connections()

    with pytest.raises(Unavailable):
        _write_read_only()

    assert not pids & _pids_of_two_connections()


def test_connections_are_replaced_at_most_once_a_second(
    shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("database.pool._MIN_REPLACE_INTERVAL_SECONDS", 600.0)
    with pytest.raises(Unavailable):
        _write_read_only()
    pids = _pids_of_two_connections()

    with pytest.raises(Unavailable):
        _write_read_only()

    assert pids == _pids_of_two_connections()


def test_a_server_that_stops_responding_is_left(shop: str) -> None:
    pids = _pids_of_two_connections()

    @autocommit
    def wait_too_long() -> None:
        database.connection().time_limit = 0.1
        database.execute_sql("SELECT pg_sleep(1)")

    with pytest.raises(Unavailable):
        wait_too_long()

    assert not pids & _pids_of_two_connections()


def test_a_connection_in_use_is_closed_when_it_is_returned(database_url: str) -> None:
    binding.bind(database_url)
    pool = database.pool
    assert pool is not None
    connection = pool.checkout()

    pool.replace_connections()

    assert not connection.closed
    pool.checkin(connection)
    assert connection.closed


@pytest.mark.parametrize(
    ("hosts", "is_verified"),
    [("{here},{here}", True), ("{here},192.0.2.1", False), ("192.0.2.1,{here}", False)],
)
def test_all_hosts_must_be_verified(database_url: str, hosts: str, is_verified: bool) -> None:
    parts = psycopg2.extensions.parse_dsn(database_url)
    hosts = hosts.format(here=parts["host"])
    binding.bind(psycopg2.extensions.make_dsn(**{**parts, "host": hosts}), connect_timeout=2)

    assert is_verified is tls.is_server_verified()


# -- helpers


def _pids_of_two_connections() -> set[int]:
    """Return the backends of the pool's two connections, and open them if necessary."""

    @autocommit
    def outer() -> set[int]:
        assert database.pool is not None
        other = database.pool.checkout()
        try:
            return {scalar("SELECT pg_backend_pid()"), other.info.backend_pid}
        finally:
            database.pool.checkin(other)

    return outer()


@autocommit
def _write_read_only() -> None:
    try:
        database.execute_sql("BEGIN READ ONLY; CREATE TABLE nothing ()")
    finally:
        database.execute_sql("ROLLBACK")
