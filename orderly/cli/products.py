"""Importing and exporting products on the command line, by the contract's rules for a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple, cast

from domain.actor import ADMIN, Actor
from domain.errors import ImportRefused
from domain.product_file import LineFault
from handlers import product_export
from orderly.contract import document
from orderly.contract.csv_rows import CsvPlan
from services import product_files

_OPERATOR = Actor(None, ADMIN, None, request_id="command-line", address="", user_agent="")


class Told(NamedTuple):
    """What there is to say of an import; the summary is None where nothing was imported."""

    summary: str | None
    faults: list[str]


def run(
    file: BinaryIO,
    currency: str,
    *,
    dry_run: bool,
    skip_faulty: bool,
    say: Callable[[str], None],
) -> Told:
    """Import a file; `say` is told how far it has come.

    Raises: what `services.product_files.import_products` raises, save ImportRefused.
    """
    schemas = document.load(currency)["components"]["schemas"]
    plan = CsvPlan({**schemas["ProductFileLine"], "components": {"schemas": schemas}})
    with TemporaryFile() as copy:  # standard input cannot be read twice
        copyfileobj(file, copy)
        try:
            report = product_files.import_products(
                actor=_OPERATOR,
                lines=plan.rows(cast(BinaryIO, copy)),
                dry_run=dry_run,
                skip_faulty=skip_faulty,
                progress=lambda done: say(f"{done} lines"),
            )
        except ImportRefused as refused:
            return Told(None, [*map(_in_words, refused.faults), str(refused)])
        finally:
            say("")
    counts = f"{report.created} created, {report.updated} updated, {report.unchanged} unchanged"
    skipped = f", {report.faulty} faulty" if report.faulty else ""
    tried = "Dry run, nothing is changed: " if dry_run else ""
    return Told(f"{tried}{counts}{skipped}.", list(map(_in_words, report.faults)))


def export() -> Iterator[bytes]:
    """Return all products on sale as pieces of a CSV file."""
    return product_export.as_csv(product_files.export_products(actor=_OPERATOR))


def _in_words(fault: LineFault) -> str:
    column = f"{fault.column} " if fault.column else ""
    return f"line {fault.line}: {column}{fault.message}"
