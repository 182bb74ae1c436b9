"""The clocks of a server and of its database differ: it is logged, and exported as a metric."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from tests.support.embedded_postgresql import run_statement
from tests.support.processes import Server, run_server, wait_until

# With this search path, the function below replaces PostgreSQL's own.
SEARCH_PATH = "ALTER DATABASE {} SET search_path = public, pg_catalog"
SET_CLOCK = """
    CREATE OR REPLACE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS $$ SELECT pg_catalog.clock_timestamp() + interval '{} s' $$
"""


def exported_skew(server: Server) -> float:
    response = httpx2.get(f"http://{server.metrics_address}/metrics")
    families = text_string_to_metric_families(response.text)
    (skew,) = [one for one in families if one.name == "orderly_database_clock_skew_seconds"]
    return skew.samples[0].value


def test_a_difference_of_the_clocks_is_logged_and_exported(
    tmp_path: Path, new_database: Callable[[str | None], str]
) -> None:
    url = new_database(None)
    run_statement(url, SEARCH_PATH.format(urlsplit(url).path.strip("/")))
    run_statement(url, SET_CLOCK.format(-600))
    with run_server(
        tmp_path / "data", "--no-worker", ORDERLY_DATABASE_URL=url, ORDERLY_METRICS_PORT="0"
    ) as server:
        wait_until(lambda: server.has_logged("clock_skew"))
        wait_until(lambda: 590 < exported_skew(server) < 610)

        run_statement(url, SET_CLOCK.format(0))

        wait_until(lambda: server.has_logged("clock_skew_ended"))
        wait_until(lambda: exported_skew(server) < 2)
        (event,) = [line for line in server.log if line["event"] == "clock_skew"]
        assert -610 < event["seconds"] < -590
