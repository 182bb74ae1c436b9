"""The catalogue: browsed by everyone, kept by administrators."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from domain.actor import Actor
from domain.errors import Forbidden, NotFound, PreconditionFailed
from domain.paging import Page
from models import product as products
from models import stock_movement, text_search
from models.database import reading, transaction
from models.product import Product

__all__ = [
    "Product",
    "archive_product",
    "create_product",
    "get_product",
    "list_products",
    "restore_product",
    "update_product",
]


@reading
def list_products(
    *,
    actor: Actor | None = None,
    limit: int,
    cursor: str | None = None,
    sort: str = "name",
    q: str | None = None,
    min_price: int | None = None,
    max_price: int | None = None,
    in_stock: bool | None = None,
    min_stock: int | None = None,
    max_stock: int | None = None,
    archived: bool | None = None,
) -> Page[Product]:
    """Return a page of the products for sale; the prices to filter by are in minor units.

    `q` are words that shall all be, or begin a word, in the name, the description or the sku.
    How much there is of a product, and what is archived, are for administrators to ask by.

    Raises:
        Forbidden: somebody else asks by them.
    """
    by_stock = sort.endswith("stock") or (min_stock, max_stock) != (None, None)
    if (by_stock or archived is not None) and not (actor and actor.is_admin):
        raise Forbidden
    words = None if q is None else text_search.all_words(q)
    if q is not None and words is None:
        return Page([], None)
    if in_stock:
        min_stock = max(min_stock or 0, 1)
    elif in_stock is False:
        max_stock = 0
    listing = products.ARCHIVED if archived else products.CATALOGUE
    return listing.page(
        sort=sort,
        limit=limit,
        cursor=cursor,
        words=words,
        min_price=min_price,
        max_price=max_price,
        min_stock=min_stock,
        max_stock=max_stock,
    )


@reading
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
