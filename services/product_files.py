"""Products from a file and into one: by sku, all or nothing, and harmless to repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple
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
from services.process import configuration
from services.products import Product, list_products
from services.stock import MOST_IN_STOCK

__all__ = ["MOST_PRICE", "ImportReport", "Line", "export_products", "import_products"]

# As in the contract, whose rows are text.
MOST_PRICE = 1_000_000_000

_AT_ONCE = 500
_EXPORTED_AT_ONCE = 500


class _Wanted(NamedTuple):
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
    """Make the products of a file, or change those that have its skus to what it says.

    `lines` are gone over anew if the transaction has to be; `progress` is told how many were.

    Raises:
        ImportRefused: lines are faulty, and none shall be skipped, or the file cannot be read to
            its end: nothing has changed.
        SkuTaken: another product with one of the skus was made in the meantime.
    """
    report = ImportReport(dry_run)
    with suppress(_OnlyTriedError):
        report = _import(actor, lines, report, skip_faulty, progress)
    return report


class _OnlyTriedError(Exception):
    """Undoes what a dry run has done."""


@transaction
def _import(
    actor: Actor,
    lines: Iterable[Line],
    report: ImportReport,
    skip_faulty: bool,
    progress: Callable[[int], None],
) -> ImportReport:
    product_import.TAKE_TURNS.execute()
    report.clear()
    stocks: list[tuple[UUID, int]] = []
    for wanted in _batches(lines, report, progress):
        _apply(actor, wanted, report, stocks)
    report.faults.sort(key=lambda fault: fault.line)
    if report.faulty and not (report.dry_run or skip_faulty):
        raise ImportRefused(faulty=report.faulty, faults=report.faults)
    # Last, so that orders wait for these as briefly as can be; in the order that they lock them in.
    stocks.sort()
    for start in range(0, len(stocks), _AT_ONCE):
        ids, quantities = zip(*stocks[start : start + _AT_ONCE], strict=True)
        product_import.SET_STOCKS.execute(
            ids=uuid_array(ids),
            stocks=list(quantities),
            movement_ids=uuid_array(uuid7() for _ in ids),
            **_by(actor),
        )
    if report.dry_run:
        raise _OnlyTriedError
    return report


def export_products(*, actor: Actor) -> Iterator[Product]:
    """Return all products on sale, the oldest first; read part by part as they are taken."""
    del actor  # the contract lets administrators alone come here
    cursor = None
    while True:
        page = list_products(limit=_EXPORTED_AT_ONCE, cursor=cursor, sort="created_at")
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def _batches(
    lines: Iterable[Line], report: ImportReport, progress: Callable[[int], None]
) -> Iterator[list[_Wanted]]:
    """Turn lines into what is wanted, some hundred at a time, and tell of those that are faulty."""
    first_of: dict[str, int] = {}
    source, done = iter(lines), 0
    while batch := list(islice(source, _AT_ONCE)):
        wanted = []
        for line in batch:
            faults = line.faults
            if not faults:
                one, faults = _wanted(line, first_of)
            if faults:
                report.tell(*faults)
                if line.is_last_readable and not report.dry_run:  # how many are lost, nobody knows
                    raise ImportRefused(faulty=report.faulty, faults=report.faults)
            else:
                wanted.append(one)
        yield wanted
        done += len(batch)
        progress(done)


def _wanted(line: Line, first_of: dict[str, int]) -> tuple[Any, tuple[LineFault, ...]]:
    cells, faults = line.cells, []
    first = first_of.setdefault(cells["sku"], line.number)
    if first != line.number:
        faults.append(LineFault(line.number, "sku", f"is that of line {first} already"))
    price = 0
    try:
        price = money.in_minor_units(cells["price"], configuration().currency)
        if price > MOST_PRICE:
            faults.append(LineFault(line.number, "price", "is more than a product may cost"))
    except ValueError as error:
        faults.append(LineFault(line.number, "price", str(error)))
    stock = int(cells["stock"]) if "stock" in cells else None
    one = _Wanted(line.number, cells["sku"], cells["name"], cells.get("description"), price, stock)
    return one, tuple(faults)


def _apply(
    actor: Actor, wanted: list[_Wanted], report: ImportReport, stocks: list[tuple[UUID, int]]
) -> None:
    found = product_import.FIND_BY_SKU.all(skus=[one.sku for one in wanted])
    known = {product.sku: product for product in found}
    new, changed = [], []
    for one in wanted:
        product = known.get(one.sku)
        other_stock = one.stock is not None and (product is None or one.stock != product.stock)
        # What there is already may be more: an export is read back as it is.
        if other_stock and (one.stock or 0) > MOST_IN_STOCK:
            report.tell(LineFault(one.line, "stock", f"must be at most {MOST_IN_STOCK}"))
            continue
        if product is None:
            new.append(one)
            report.created += 1
            continue
        if product.archived:
            report.tell(LineFault(one.line, "sku", "is archived: restore it first"))
            continue
        other_product = _as_changed(product, one) != product
        if other_product:
            changed.append(_as_changed(product, one))
        if other_stock:
            stocks.append((product.id, one.stock or 0))
        if other_stock or other_product:
            report.updated += 1
        else:
            report.unchanged += 1
    if new:
        _add(actor, new)
    if changed:
        product_import.CHANGE_MANY.execute(
            ids=uuid_array(one.id for one in changed),
            names=[one.name for one in changed],
            descriptions=[one.description for one in changed],
            prices=[one.price for one in changed],
        )


def _as_changed(product: KnownProduct, wanted: _Wanted) -> KnownProduct:
    description = product.description if wanted.description is None else wanted.description
    return product._replace(name=wanted.name, description=description, price=wanted.price)


def _add(actor: Actor, new: list[_Wanted]) -> None:
    product_import.ADD_MANY.execute(
        ids=uuid_array(uuid7() for _ in new),
        skus=[one.sku for one in new],
        names=[one.name for one in new],
        descriptions=[one.description or "" for one in new],
        prices=[one.price for one in new],
        stocks=[one.stock or 0 for one in new],
        movement_ids=uuid_array(uuid7() for _ in new),
        **_by(actor),
    )


def _by(actor: Actor) -> dict[str, object]:
    return {"actor_user_id": actor.user_id, "request_id": actor.request_id}
