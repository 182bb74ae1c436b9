"""The commands that run until stopped: `serve`, `mock` and `worker`."""

from __future__ import annotations

import sys
from typing import Any

import click

from orderly.cli.command import (
    data_dir_option,
    host_option,
    load_settings,
    port_option,
    report_errors,
    shop_database,
)

# "  Documentation  "
_LABEL_WIDTH = 17


@click.command()
@data_dir_option
@host_option
@port_option
@click.option("--workers", type=click.IntRange(min=1), help="Number of server processes.")
@click.option("--worker/--no-worker", default=None, help="Whether to run background jobs too.")
@click.option("--demo", is_flag=True, help="Fill an empty shop with products, people and orders.")
@click.option("--reset", is_flag=True, help="With --demo: delete all data of the demo first.")
@report_errors
def serve(demo: bool, reset: bool, **options: Any) -> None:
    """Serve the API until stopped by Ctrl-C or SIGTERM.

    Requests in flight are finished first; a second Ctrl-C aborts them.
    """
    from orderly.server.serve import serve as run  # noqa: PLC0415

    # A demo is a test system, with the limits of one.
    settings = load_settings(test_system=True if demo else None, **options)
    sys.exit(run(settings, demo=demo, reset=reset, output=_print_start))


@click.command("leave-demo")
@data_dir_option
@report_errors
def leave_demo(**options: Any) -> None:
    """Disable the accounts of `serve --demo`.

    Then `serve` accepts the shop. Ends their sessions. From then on, `--reset` refuses to
    delete this shop. Keeps products, orders and accounts whose password was changed.
    """
    settings = load_settings(**options)
    with shop_database(settings) as database:
        from orderly.server.demo import forbid_reset  # noqa: PLC0415
        from services import schema  # noqa: PLC0415
        from services.demo import disable_exposed_accounts  # noqa: PLC0415

        schema.migrate(owner_url=database.owner_url)
        disabled = disable_exposed_accounts()
        if settings.database_url is None:
            forbid_reset(settings)
    for account in disabled:
        click.echo(f"Disabled {account.email} and ended its sessions.")
    if disabled:
        click.echo("To create an administrator, run `orderly create-admin`.")
    else:
        click.echo("No active account has a password of the demo.")


@click.command()
@host_option
@port_option
@report_errors
def mock(**options: Any) -> None:
    """Serve the contract's examples, without a database.

    Requests are validated as in the shop. `Prefer: example=NAME` or `Prefer: code=404` in a
    request chooses the response. Stop it with Ctrl-C.
    """
    from orderly.mock.serve import serve as run  # noqa: PLC0415

    sys.exit(run(load_settings(**options), output=_print_start))


@click.command()
@data_dir_option
@report_errors
def worker(**options: Any) -> None:
    """Run only the background jobs.

    Stop them with Ctrl-C or SIGTERM. The jobs send mails, cancel unpaid orders, ask payment
    providers, and delete old rows. `orderly serve` runs them too; several workers and servers
    can run at the same time.
    """
    from orderly.http import logging  # noqa: PLC0415
    from orderly.server.metrics import export_metrics  # noqa: PLC0415
    from orderly.server.signals import stop_event  # noqa: PLC0415

    settings = load_settings(**options)
    logging.configure_for(settings)
    with (
        stop_event() as stopped,
        export_metrics(settings) as (settings, metrics, metrics_url),
        shop_database(settings) as database,
    ):
        from orderly.background import worker  # noqa: PLC0415
        from orderly.server.provisioning import wait_for_database  # noqa: PLC0415
        from services import schema  # noqa: PLC0415

        wait_for_database(settings, stopped)
        if stopped.is_set():
            return
        schema.migrate(owner_url=database.owner_url)
        if metrics_url is not None:
            click.echo(f"Metrics: {metrics_url}")
        click.echo("Running the background jobs. Press Ctrl-C to stop.")
        worker.run(stopped, metrics=metrics)


def _print_start(message: str) -> None:
    """Print the start message of a server: a heading, and lines that begin with a label."""
    heading, *lines = message.splitlines()
    click.secho(heading, bold=True)
    for line in lines:
        label = line[:_LABEL_WIDTH] if line.startswith(" ") else ""
        click.echo(click.style(label, dim=True) + line[len(label) :])
