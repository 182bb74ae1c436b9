"""Importing products from a file, and exporting them.

An import finds products by their SKU. It imports all lines or none, and repeating it changes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from database.transactions import transaction
from domain import money
from domain.actor import Actor
from domain.errors import ImportRefused
from domain.product_file import ImportReport, Line, LineFault
from models import product_import
from models.placement import uuid_array
from models.product_import import KnownProduct
from services import security_events
from services.process import configuration
from services.products import Product, list_products
from services.stock import MAX_STOCK

__all__ = ["MAX_PRICE", "ImportReport", "Line", "export_products", "import_products"]

# In minor units, the maximum of the contract. The contract cannot check the price of a file's line,
# which is a text in major units.
MAX_PRICE = 1_000_000_000

_BATCH_LINES = 500
_EXPORT_BATCH_ROWS = 500


class _ProductLine(NamedTuple):
    """A valid line: the new values of its product. None leaves a value unchanged."""

    line: int
    sku: str
    name: str
    description: str | None
    price: int
    stock: int | None


def import_products(
    *,
    actor: Actor,
    lines: Iterable[Line],
    dry_run: bool = False,
    skip_faulty: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> ImportReport:
    """Create the products of a file; update those whose SKU exists.

    `lines` is iterated again if the transaction is retried. A dry run returns or raises what an
    import would, and changes nothing. With `skip_faulty`, the valid lines are imported even if
    others are invalid. `progress` is called with the number of lines that have been read.

    Raises:
        ImportRefused: lines are invalid and `skip_faulty` is false, or the file cannot be read to
            its end. Nothing was imported.
        SkuTaken: a product with one of the SKUs was created concurrently.
    """
    report = ImportReport(dry_run)
    with suppress(_DryRunRollback):
        report = _import(actor, lines, report, skip_faulty, progress)
    return report


class _DryRunRollback(Exception):  # noqa: N818  # not an error
    """Rolls back the transaction of a dry run."""


@transaction
def _import(
    actor: Actor,
    lines: Iterable[Line],
    report: ImportReport,
    skip_faulty: bool,
    progress: Callable[[int], None],
) -> ImportReport:
    product_import.LOCK_IMPORTS.execute()
    report.reset()  # it has counts if the transaction is retried
    new_stocks: list[tuple[UUID, int]] = []
    for batch in _valid_lines(lines, report, progress):
        _import_batch(actor, batch, report, new_stocks)
    report.faults.sort(key=lambda fault: fault.line)
    if report.faulty and not skip_faulty:
        raise ImportRefused(faulty=report.faulty, faults=report.faults)
    _set_stocks(actor, new_stocks)
    if report.dry_run:
        raise _DryRunRollback
    security_events.append(security_events.PRODUCTS_IMPORTED, actor=actor, detail="import_products")
    return report


def export_products(*, actor: Actor) -> Iterator[Product]:
    """Return all products on sale, oldest first. They are read in batches during iteration."""
    security_events.append(security_events.DATA_EXPORTED, actor=actor, detail="export_products")
    return _all_products()


def _all_products() -> Iterator[Product]:
    cursor = None
    while True:
        page = list_products(limit=_EXPORT_BATCH_ROWS, cursor=cursor, sort="created_at")
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def _valid_lines(
    lines: Iterable[Line], report: ImportReport, progress: Callable[[int], None]
) -> Iterator[list[_ProductLine]]:
    """Return the valid lines in batches, and report the faults of the others.

    Raises:
        ImportRefused: the file cannot be read to its end.
    """
    first_line_of: dict[str, int] = {}
    source, lines_read = iter(lines), 0
    while batch := list(islice(source, _BATCH_LINES)):
        valid = []
        for line in batch:
            parsed = _parse(line, first_line_of)
            if isinstance(parsed, _ProductLine):
                valid.append(parsed)
                continue
            report.add_faulty_line(*parsed)
            if line.is_last_readable:
                # Not skipped: an unknown number of lines follow, which would be lost silently.
                raise ImportRefused(faulty=report.faulty, faults=report.faults)
        yield valid
        lines_read += len(batch)
        progress(lines_read)


def _parse(line: Line, first_line_of: dict[str, int]) -> _ProductLine | tuple[LineFault, ...]:
    """Return the values of a line, or its faults.

    `first_line_of` maps each SKU to the first line that has it; this function adds to it.
    """
    if line.faults:
        return line.faults
    cells, faults = line.cells, []
    first_line = first_line_of.setdefault(cells["sku"], line.number)
    if first_line != line.number:
        faults.append(LineFault(line.number, "sku", f"is the same as in line {first_line}"))
    price = 0
    try:
        price = money.in_minor_units(cells["price"], configuration().currency)
        if price > MAX_PRICE:
            faults.append(LineFault(line.number, "price", "is more than a product may cost"))
    except ValueError as error:
        faults.append(LineFault(line.number, "price", str(error)))
    if faults:
        return tuple(faults)
    return _ProductLine(
        line=line.number,
        sku=cells["sku"],
        name=cells["name"],
        description=cells.get("description"),
        price=price,
        stock=int(cells["stock"]) if "stock" in cells else None,
    )


def _import_batch(
    actor: Actor,
    batch: list[_ProductLine],
    report: ImportReport,
    new_stocks: list[tuple[UUID, int]],
) -> None:
    """Insert and update the products of a batch; add changed stocks to `new_stocks`."""
    found = product_import.FIND_BY_SKU.all(skus=[line.sku for line in batch])
    known = {product.sku: product for product in found}
    created, updated = [], []
    for line in batch:
        product = known.get(line.sku)
        fault = _find_fault(line, product)
        if fault is not None:
            report.add_faulty_line(fault)
        elif product is None:
            created.append(line)
            report.created += 1
        else:
            after = _updated_product(product, line)
            if after.stock != product.stock:
                new_stocks.append((product.id, after.stock))
            if after._replace(stock=product.stock) != product:
                updated.append(after)
            if after == product:
                report.unchanged += 1
            else:
                report.updated += 1
    if created:
        _insert(actor, created)
    if updated:
        product_import.UPDATE_MANY.execute(
            ids=uuid_array(product.id for product in updated),
            names=[product.name for product in updated],
            descriptions=[product.description for product in updated],
            prices=[product.price for product in updated],
        )


def _find_fault(line: _ProductLine, product: KnownProduct | None) -> LineFault | None:
    # A stock above the maximum is accepted if it is the product's current stock: an export must
    # always be accepted as an import.
    if (line.stock or 0) > MAX_STOCK and (product is None or line.stock != product.stock):
        return LineFault(line.line, "stock", f"must be at most {MAX_STOCK}")
    if product is not None and product.archived:
        return LineFault(line.line, "sku", "is archived: restore it first")
    return None


def _updated_product(product: KnownProduct, line: _ProductLine) -> KnownProduct:
    return product._replace(
        name=line.name,
        description=product.description if line.description is None else line.description,
        price=line.price,
        stock=product.stock if line.stock is None else line.stock,
    )


def _insert(actor: Actor, lines: list[_ProductLine]) -> None:
    product_import.INSERT_MANY.execute(
        ids=uuid_array(uuid7() for _ in lines),
        skus=[line.sku for line in lines],
        names=[line.name for line in lines],
        descriptions=[line.description or "" for line in lines],
        prices=[line.price for line in lines],
        stocks=[line.stock or 0 for line in lines],
        movement_ids=uuid_array(uuid7() for _ in lines),
        actor_user_id=actor.user_id,
        request_id=actor.request_id,
    )


def _set_stocks(actor: Actor, new_stocks: list[tuple[UUID, int]]) -> None:
    """Set stocks sorted by product id, the lock order of order placement (prevents deadlocks).

    Call this last: until the transaction ends, orders of these products wait for its locks.
    """
    new_stocks.sort()
    for start in range(0, len(new_stocks), _BATCH_LINES):
        ids, quantities = zip(*new_stocks[start : start + _BATCH_LINES], strict=True)
        product_import.SET_STOCKS.execute(
            ids=uuid_array(ids),
            stocks=list(quantities),
            movement_ids=uuid_array(uuid7() for _ in ids),
            actor_user_id=actor.user_id,
            request_id=actor.request_id,
        )
