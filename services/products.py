"""The catalogue: listing and searching products, and changing them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from uuid_utils.compat import uuid7

from database import text_search
from database.listing import Listing
from database.transactions import autocommit, transaction
from domain import paging
from domain.actor import Actor
from domain.errors import NotFound, SkuTaken
from domain.paging import Page
from models import product as products
from models import stock_movement
from models.product import Product
from services import idempotency, security_events
from services.versions import require_version

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

_RELEVANCE = "relevance"
# The keyset position before all products of a list that is sorted by newest first.
_BEFORE_ALL_PRODUCTS = paging.Position(datetime.max.replace(tzinfo=UTC), UUID(int=0))


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
    """Return a page of the products on sale; `min_price` and `max_price` are in minor units.

    Every word of `q` must be a word, or the beginning of a word, in the SKU, the name or the
    description. The default sort is by relevance if `q` is given, and by name otherwise.
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
    """Return a page of the archived products; `sort` and `q` are those of `list_products`."""
    return _page(products.ARCHIVED, limit, cursor, sort, q, {})


@autocommit
def get_product(*, product_id: UUID) -> Product:
    """Return one product.

    Raises:
        NotFound: no product has this id, or the product is archived.
    """
    return _require(products.FIND.one(product_id=product_id))


class CreatedProduct(NamedTuple):
    """A product, and whether an earlier request with the same idempotency key has created it."""

    product: Product
    replayed: bool


def create_product(
    *,
    actor: Actor,
    sku: str,
    name: str,
    description: str,
    price: int,
    stock: int,
    images: Sequence[Mapping[str, str]] = (),
    idempotency_key: str | None = None,
) -> CreatedProduct:
    """Create a product with `stock` units in stock; `price` is in minor units.

    Each image has a `url` and an `alt`.

    Raises:
        SkuTaken: another product, possibly an archived one, has this SKU.
        IdempotencyKeyReused: the key was first used with a different request.
        IdempotencyInFlight: the first request with this key is still running.
    """
    # The members in the sequence of jsonb: it must not matter for the fingerprint and for replays.
    ordered = [{"alt": image["alt"], "url": image["url"]} for image in images]
    new = _NewProduct(sku, name, description, price, stock, ordered)
    digest = idempotency.fingerprint("create_product", *new)
    try:
        return _create(actor, new, idempotency_key, digest)
    except SkuTaken:
        # The first request with this key may have created the product since.
        created = _find_created(actor, new, idempotency_key, digest)
        if created is None:
            raise
        return created


class _NewProduct(NamedTuple):
    sku: str
    name: str
    description: str
    price: int
    stock: int
    images: list[dict[str, str]]


@transaction
def _create(actor: Actor, new: _NewProduct, key: str | None, digest: bytes) -> CreatedProduct:
    created = _find_created(actor, new, key, digest)
    if created is not None:
        return created
    product_id = uuid7()
    products.INSERT.execute(
        id=product_id,
        sku=new.sku,
        name=new.name,
        description=new.description,
        price=new.price,
        images=_json(new.images),
    )
    products.INSERT_STOCK.execute(product_id=product_id, quantity=new.stock)
    if new.stock:
        stock_movement.INSERT_INITIAL.execute(
            movement_id=uuid7(),
            product_id=product_id,
            quantity=new.stock,
            actor_user_id=actor.user_id,
            request_id=actor.request_id,
        )
    security_events.append(security_events.PRODUCT_CREATED, actor=actor, product_id=product_id)
    idempotency.claim(actor, key, digest, product_id=product_id)
    return CreatedProduct(_require(products.FIND.one(product_id=product_id)), replayed=False)


@autocommit
def _find_created(
    actor: Actor, new: _NewProduct, key: str | None, digest: bytes
) -> CreatedProduct | None:
    """Return the product that was created with this key, in the state of the first response."""
    first = idempotency.find(actor, key, digest)
    if first is None or first.product_id is None:
        return None
    product = _require(products.FIND_CREATED.one(product_id=first.product_id))
    product = product._replace(
        **new._asdict(), version=1, updated_at=product.created_at, archived_at=None
    )
    return CreatedProduct(product, replayed=True)


@transaction
def update_product(
    *,
    actor: Actor,
    product_id: UUID,
    changes: Mapping[str, Any],
    expected_versions: Collection[int] | None,
) -> Product:
    """Change a product's sku, name, description, price or images to the values in `changes`.

    If the product has these values already, nothing changes, not even the version.

    Raises:
        NotFound: no product has this id, or the product is archived.
        PreconditionFailed: the product has none of the expected versions; None accepts any.
        SkuTaken: another product has this SKU.
    """
    current = _find_to_change(product_id, expected_versions)
    changed = current._replace(**changes)
    if changed == current:
        return current
    products.UPDATE.execute(
        id=product_id,
        sku=changed.sku,
        name=changed.name,
        description=changed.description,
        price=changed.price,
        images=_json(changed.images),
    )
    security_events.append(security_events.PRODUCT_UPDATED, actor=actor, product_id=product_id)
    return _require(products.FIND.one(product_id=product_id))


@transaction
def archive_product(
    *, actor: Actor, product_id: UUID, expected_versions: Collection[int] | None
) -> None:
    """Archive a product, so that it is no longer sold. Line items of orders keep their copy of it.

    Raises:
        NotFound: no product has this id, or the product is archived already.
        PreconditionFailed: the product has none of the expected versions; None accepts any.
    """
    _find_to_change(product_id, expected_versions)
    products.ARCHIVE.execute(product_id=product_id)
    security_events.append(security_events.PRODUCT_ARCHIVED, actor=actor, product_id=product_id)


@transaction
def restore_product(
    *, actor: Actor, product_id: UUID, expected_versions: Collection[int] | None
) -> Product:
    """Put an archived product back on sale. A product that is on sale stays as it is.

    Raises:
        NotFound: no product has this id.
        PreconditionFailed: the product has none of the expected versions; None accepts any.
    """
    product = _require(products.FIND_EVEN_ARCHIVED_TO_CHANGE.one(product_id=product_id))
    require_version(product.version, expected_versions)
    if product.archived_at is None:
        return product
    products.RESTORE.execute(product_id=product_id)
    security_events.append(security_events.PRODUCT_RESTORED, actor=actor, product_id=product_id)
    return _require(products.FIND.one(product_id=product_id))


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
    if q is not None and sort in {None, _RELEVANCE}:
        return _page_by_relevance(listing, limit, cursor, q, filters)
    sort = "name" if sort in {None, _RELEVANCE} else str(sort)
    return listing.page(sort=sort, limit=limit, cursor=cursor, words=words, **filters)


def _page_by_relevance(
    listing: Listing[Product], limit: int, cursor: str | None, q: str, filters: Mapping[str, Any]
) -> Page[Product]:
    """Return a page of the concatenation of three lists, each sorted by newest first.

    The lists are: the product with this SKU; products that match in SKU or name; products that
    match only with their description. The first character of a cursor is the number of its list.
    So a page costs the same however many products match; sorting by a computed rank would have to
    read all matches.
    """
    sku = q.strip().upper()
    words = text_search.all_words(q)
    lists: tuple[dict[str, Any], ...] = (
        {"sku": sku},
        {"title_words": words, "other_sku": sku},
        {"words": words, "without_title_words": words, "other_sku": sku},
    )
    number, list_cursor = _parse_relevance_cursor(cursor)
    found: list[Product] = []
    for conditions in lists[number - 1 :]:
        # If the page is full already, read one more row: it decides whether there is a next page.
        missing = limit - len(found) or 1
        page = listing.page(
            sort="-created_at", limit=missing, cursor=list_cursor, **conditions, **filters
        )
        if page.items and len(found) == limit:
            return Page(found, f"{number}{paging.encode(_BEFORE_ALL_PRODUCTS)}")
        found += page.items
        if page.next_cursor is not None:
            return Page(found, f"{number}{page.next_cursor}")
        number, list_cursor = number + 1, None
    return Page(found, None)


def _parse_relevance_cursor(cursor: str | None) -> tuple[int, str | None]:
    """Return the number of a list, from 1, and the cursor within this list.

    Any text is a valid cursor: an unknown number counts as 1.
    """
    if cursor is None:
        return 1, None
    return max(1, "123".find(cursor[0]) + 1), cursor[1:]


def _find_to_change(product_id: UUID, expected_versions: Collection[int] | None) -> Product:
    product = _require(products.FIND_TO_CHANGE.one(product_id=product_id))
    require_version(product.version, expected_versions)
    return product


def _json(images: list[dict[str, str]]) -> str:
    return orjson.dumps(images).decode()


def _require(product: Product | None) -> Product:
    if product is None:
        raise NotFound("product")
    return product
