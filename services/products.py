"""The catalogue: browsed by everyone, kept by administrators."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from database import text_search
from database.listing import Listing
from database.transactions import autocommit, transaction
from domain import paging
from domain.actor import Actor
from domain.errors import NotFound, PreconditionFailed
from domain.paging import Page
from models import product as products
from models import stock_movement
from models.product import Product

__all__ = [
    "Product",
    "archive_product",
    "create_product",
    "get_product",
    "list_archived_products",
    "list_products",
    "restore_product",
    "update_product",
]


RELEVANCE = "relevance"
# Before every product, however new.
_BEGINNING = paging.Position(datetime.max.replace(tzinfo=UTC), UUID(int=0))


@autocommit
def list_products(
    *,
    limit: int,
    cursor: str | None = None,
    sort: str | None = None,
    q: str | None = None,
    min_price: int | None = None,
    max_price: int | None = None,
    in_stock: bool | None = None,
    min_stock: int | None = None,
    max_stock: int | None = None,
) -> Page[Product]:
    """Return a page of the products for sale; the prices to filter by are in minor units.

    `q` are words that shall all be, or begin a word, in the name, the description or the sku.
    Unless told otherwise the list is sorted by relevance where words are looked for, else by name.
    """
    if in_stock:
        min_stock = max(min_stock or 0, 1)
    elif in_stock is not None:
        max_stock = 0
    filters = {
        "min_price": min_price,
        "max_price": max_price,
        "min_stock": min_stock,
        "max_stock": max_stock,
    }
    return _page(products.CATALOGUE, limit, cursor, sort, q, filters)


@autocommit
def list_archived_products(
    *, limit: int, cursor: str | None = None, sort: str | None = None, q: str | None = None
) -> Page[Product]:
    """Return a page of the products that have been taken off sale, as `list_products` does."""
    return _page(products.ARCHIVED, limit, cursor, sort, q, {})


@autocommit
def get_product(*, product_id: UUID) -> Product:
    """Return one product.

    Raises:
        NotFound: there is none, or it is archived.
    """
    return _found(products.FIND.one(product_id=product_id))


@transaction
def create_product(
    *, actor: Actor, sku: str, name: str, description: str, price: int, stock: int
) -> Product:
    """Put a product into the catalogue, `price` in minor units, with `stock` units of it.

    Raises:
        SkuTaken: another product, archived ones included, has this sku.
    """
    product_id = uuid7()
    products.ADD.execute(id=product_id, sku=sku, name=name, description=description, price=price)
    products.ADD_STOCK.execute(product_id=product_id, quantity=stock)
    if stock:
        stock_movement.RECORD_INITIAL.execute(
            movement_id=uuid7(),
            product_id=product_id,
            quantity=stock,
            actor_user_id=actor.user_id,
            request_id=actor.request_id,
        )
    return _found(products.FIND.one(product_id=product_id))


@transaction
def update_product(
    *,
    actor: Actor,
    product_id: UUID,
    changes: Mapping[str, Any],
    expected_versions: Collection[int] | None,
) -> Product:
    """Change a product's sku, name, description or price to what `changes` says.

    A change that says what is already so changes nothing, not even the version.

    Raises:
        NotFound: there is no such product, or it is archived.
        PreconditionFailed: it is at none of the expected versions; None expects nothing.
        SkuTaken: another product has this sku.
    """
    del actor  # the contract lets administrators alone come here
    current = _found_as_expected(product_id, expected_versions)
    changed = current._replace(**changes)
    if changed == current:
        return current
    products.CHANGE.execute(
        id=product_id,
        sku=changed.sku,
        name=changed.name,
        description=changed.description,
        price=changed.price,
    )
    return _found(products.FIND.one(product_id=product_id))


@transaction
def archive_product(
    *, actor: Actor, product_id: UUID, expected_versions: Collection[int] | None
) -> None:
    """Take a product out of the catalogue. Orders keep their snapshot of it.

    Raises:
        NotFound: there is no such product, or it is archived already.
        PreconditionFailed: it is at none of the expected versions; None expects nothing.
    """
    del actor  # the contract lets administrators alone come here
    _found_as_expected(product_id, expected_versions)
    products.ARCHIVE.execute(product_id=product_id)


def _page(
    listing: Listing[Product],
    limit: int,
    cursor: str | None,
    sort: str | None,
    q: str | None,
    filters: Mapping[str, Any],
) -> Page[Product]:
    words = None if q is None else text_search.all_words(q)
    if q is not None and words is None:
        return Page([], None)
    if q is not None and sort in {None, RELEVANCE}:
        return _by_relevance(listing, limit, cursor, q, filters)
    order = "name" if sort in {None, RELEVANCE} else str(sort)
    return listing.page(sort=order, limit=limit, cursor=cursor, words=words, **filters)


def _by_relevance(
    listing: Listing[Product], limit: int, cursor: str | None, q: str, filters: Mapping[str, Any]
) -> Page[Product]:
    """Return a page of three lists one after another, of each the newest first.

    The product of that very sku; those that are called by the words; those of which they are told.
    The first character of a cursor says in which of them it is. So a page costs the same however
    many products have the words, which a computed rank would not.
    """
    sku = q.strip().upper()
    words = text_search.all_words(q)
    lists: tuple[dict[str, Any], ...] = (
        {"sku": sku},
        {"called": words, "other_sku": sku},
        {"words": words, "not_called": words, "other_sku": sku},
    )
    place, rest = (0, None) if cursor is None else ("123".find(cursor[0]), cursor[1:])
    place = max(place, 0)  # any text is some place
    found: list[Product] = []
    for number, one in enumerate(lists[place:], start=place + 1):
        # When the page is full, whether there is more is still to be told.
        wanted = limit - len(found) or 1
        page = listing.page(sort="-created_at", limit=wanted, cursor=rest, **one, **filters)
        if page.items and len(found) == limit:
            return Page(found, f"{number}{paging.encode(_BEGINNING)}")
        found += page.items
        if page.next_cursor is not None:
            return Page(found, f"{number}{page.next_cursor}")
        rest = None
    return Page(found, None)


@transaction
def restore_product(
    *, actor: Actor, product_id: UUID, expected_versions: Collection[int] | None
) -> Product:
    """Put an archived product back on sale. One that is on sale stays as it is.

    Raises:
        NotFound: there is no such product.
        PreconditionFailed: it is at none of the expected versions; None expects nothing.
    """
    del actor  # the contract lets administrators alone come here
    product = _found(products.FIND_EVEN_ARCHIVED_TO_CHANGE.one(product_id=product_id))
    _expect(product, expected_versions)
    if product.archived_at is None:
        return product
    products.RESTORE.execute(product_id=product_id)
    return _found(products.FIND.one(product_id=product_id))


def _found_as_expected(product_id: UUID, expected_versions: Collection[int] | None) -> Product:
    product = _found(products.FIND_TO_CHANGE.one(product_id=product_id))
    _expect(product, expected_versions)
    return product


def _expect(product: Product, expected_versions: Collection[int] | None) -> None:
    if expected_versions is not None and product.version not in expected_versions:
        raise PreconditionFailed


def _found(product: Product | None) -> Product:
    if product is None:
        raise NotFound("product")
    return product
