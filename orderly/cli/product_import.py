"""Imports products from a CSV file, and exports them, for the command line.

Each line is validated with the contract's schema `ProductFileLine`, as in `POST /products/import`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple, cast

from domain.actor import ADMIN, COMMAND_LINE, Actor
from domain.errors import ImportRefused
from domain.product_file import LineFault
from handlers import product_export
from orderly.contract import document
from orderly.contract.csv_rows import CsvPlan
from services import product_files

_OPERATOR = Actor(
    user_id=None,
    role=ADMIN,
    session_id=None,
    request_id=COMMAND_LINE,
    address="",
    user_agent="",
)


class ImportResult(NamedTuple):
    """The messages about an import. `summary` is None if nothing was imported."""

    summary: str | None
    errors: list[str]


def import_file(
    file: BinaryIO,
    currency: str,
    *,
    dry_run: bool,
    skip_faulty: bool,
    show_progress: Callable[[str], None],
) -> ImportResult:
    """Import a CSV file of products.

    Raises: the errors of `services.product_files.import_products`, except ImportRefused.
    """
    schemas = document.load(currency)["components"]["schemas"]
    # `ProductFileLine` refers to other schemas by "#/components/schemas/...". The compiler resolves
    # these references within the schema itself, so add the other schemas to it.
    plan = CsvPlan({**schemas["ProductFileLine"], "components": {"schemas": schemas}})
    # The import reads the file twice, which standard input does not allow.
    with TemporaryFile() as copy:
        copyfileobj(file, copy)
        try:
            report = product_files.import_products(
                actor=_OPERATOR,
                lines=plan.rows(cast(BinaryIO, copy)),
                dry_run=dry_run,
                skip_faulty=skip_faulty,
                progress=lambda done: show_progress(f"{done} lines"),
            )
        except ImportRefused as refused:
            return ImportResult(None, [*map(_line_message, refused.faults), str(refused)])
        finally:
            show_progress("")
    prefix = "Dry run, nothing is changed: " if dry_run else ""
    counts = f"{report.created} created, {report.updated} updated, {report.unchanged} unchanged"
    skipped = f", {report.faulty} invalid" if report.faulty else ""
    return ImportResult(f"{prefix}{counts}{skipped}.", list(map(_line_message, report.faults)))


def export() -> Iterator[bytes]:
    """Return all products on sale as chunks of a CSV file."""
    return product_export.as_csv(product_files.export_products(actor=_OPERATOR))


def _line_message(fault: LineFault) -> str:
    column = f"{fault.column} " if fault.column else ""
    return f"line {fault.line}: {column}{fault.message}"
