"""The commands `import-products` and `export-products`."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any, BinaryIO

import click

from orderly.cli.command import (
    FAILED,
    data_dir_option,
    fail,
    load_settings,
    report_errors,
    require_migrated_database,
    shop_database,
)


@click.command("import-products")
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Only report what would change.")
@click.option("--skip-faulty", is_flag=True, help="Import the valid lines and skip invalid ones.")
@data_dir_option
@report_errors
def import_products(file: BinaryIO, dry_run: bool, skip_faulty: bool, **options: Any) -> None:
    """Create or update products from a CSV file.

    `-` reads standard input. Required columns are sku, name and price; optional are
    description, currency and stock. If any line is invalid, nothing is imported. Importing the
    same file again changes nothing.
    """
    from orderly.cli import product_import  # noqa: PLC0415
    from orderly.server.provisioning import check_currency  # noqa: PLC0415

    settings = load_settings(**options)
    with shop_database(settings) as database:
        from services import schema  # noqa: PLC0415

        schema.migrate(owner_url=database.owner_url)
        check_currency(settings)
        result = product_import.import_file(
            file,
            settings.currency,
            dry_run=dry_run,
            skip_faulty=skip_faulty,
            show_progress=_show_progress,
        )
    for message in result.errors:
        click.echo(f"orderly: {message}", err=True)
    if result.summary is None:
        sys.exit(FAILED)
    click.echo(result.summary)


@click.command("export-products")
@click.option(
    "--output", type=click.File("wb"), default="-", help="File to write; default: standard output."
)
@data_dir_option
@report_errors
def export_products(output: BinaryIO, **options: Any) -> None:
    """Write all products on sale as CSV.

    The format is that of `import-products`.
    """
    settings = load_settings(**options)
    with shop_database(settings):
        from orderly.cli.product_import import export  # noqa: PLC0415
        from orderly.server.provisioning import check_currency  # noqa: PLC0415

        require_migrated_database()
        check_currency(settings)
        try:
            output.writelines(export())
            output.flush()
        except BrokenPipeError:
            raise  # see report_errors
        except OSError as error:
            with suppress(OSError):  # closing writes the rest of the buffer, and fails again
                output.close()
            fail(f"The file is incomplete: {error.strerror}")


def _show_progress(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{text}", err=True, nl=False)
