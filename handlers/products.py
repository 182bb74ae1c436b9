"""HTTP handlers of products and their stock."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from domain.actor import Actor
from handlers import preconditions, product_export, representations
from handlers.idempotency import parse_idempotency_key, replay_headers
from handlers.responses import BASE_PATH, Response
from services import product_files, products, stock
from services.product_files import Line
from services.products import Product

# Everyone gets the same response, so shared caches may store it. They must revalidate it before
# each use (RFC 9111, section 5.2.2.4).
_PUBLIC = {"Cache-Control": "public, no-cache"}


def list_products(
    limit: int,
    sort: str | None = None,
    cursor: str | None = None,
    q: str | None = None,
    min_price: int | None = None,
    max_price: int | None = None,
    in_stock: bool | None = None,
    min_stock: int | None = None,
    max_stock: int | None = None,
    if_none_match: str | None = None,
) -> Response:
    """Return a page of the products on sale."""
    query: dict[str, Any] = {
        "limit": limit,
        "sort": sort,
        "q": q,
        "min_price": min_price,
        "max_price": max_price,
        "in_stock": in_stock,
        "min_stock": min_stock,
        "max_stock": max_stock,
    }
    page = products.list_products(cursor=cursor, **query)
    # The integer of a UUID is faster to format than its text.
    parts = [f"{row.id.int:x}.{row.version}.{row.stock}" for row in page.items]
    headers = {"ETag": preconditions.list_entity_tag([*parts, page.next_cursor]), **_PUBLIC}
    if preconditions.is_unchanged(if_none_match, headers["ETag"]):
        return None, 304, headers
    body, link = representations.page(page, representations.product, f"{BASE_PATH}/products", query)
    return body, 200, {**headers, **link}


def list_archived_products(
    limit: int, sort: str | None = None, cursor: str | None = None, q: str | None = None
) -> Response:
    """Return a page of the archived products."""
    query: dict[str, Any] = {"limit": limit, "sort": sort, "q": q}
    page = products.list_archived_products(cursor=cursor, **query)
    path = f"{BASE_PATH}/products/archived"
    body, link = representations.page(page, representations.product, path, query)
    return body, 200, link


def create_product(
    actor: Actor, body: dict[str, Any], idempotency_key: str | None = None
) -> Response:
    """Create a product, or return the one created earlier with the same idempotency key."""
    row, replayed = products.create_product(
        actor=actor,
        sku=body["sku"],
        name=body["name"],
        description=body.get("description", ""),
        price=body["price"]["amount"],
        stock=body.get("stock", 0),
        images=body.get("images", []),
        idempotency_key=parse_idempotency_key(idempotency_key),
    )
    headers = {"Location": f"{BASE_PATH}/products/{row.id}", **replay_headers(replayed)}
    return _response(row, 201, **headers)


def get_product(product_id: UUID, if_none_match: str | None = None) -> Response:
    """Return one product, or 304 if the client has this version of it."""
    row = products.get_product(product_id=product_id)
    if preconditions.is_unchanged(if_none_match, _entity_tag(row)):
        return None, 304, {"ETag": _entity_tag(row), **_PUBLIC}
    return _response(row, 200, **_PUBLIC)


def update_product(
    actor: Actor, product_id: UUID, body: dict[str, Any], if_match: str | None = None
) -> Response:
    """Update a product with a merge patch (RFC 7396)."""
    changes = dict(body)
    if "price" in changes:
        changes["price"] = changes["price"]["amount"]
    row = products.update_product(
        actor=actor,
        product_id=product_id,
        changes=changes,
        expected_versions=preconditions.expected_versions(if_match),
    )
    return _response(row, 200)


def archive_product(actor: Actor, product_id: UUID, if_match: str | None = None) -> Response:
    """Archive a product. Line items of orders keep their copy of it."""
    products.archive_product(
        actor=actor,
        product_id=product_id,
        expected_versions=preconditions.expected_versions(if_match),
    )
    return None, 204, {}


def restore_product(actor: Actor, product_id: UUID, if_match: str | None = None) -> Response:
    """Put an archived product back on sale."""
    row = products.restore_product(
        actor=actor,
        product_id=product_id,
        expected_versions=preconditions.expected_versions(if_match),
    )
    return _response(row, 200)


def adjust_stock(
    actor: Actor, product_id: UUID, body: dict[str, Any], idempotency_key: str | None = None
) -> Response:
    """Change a product's stock and record the reason."""
    movement, replayed = stock.adjust_stock(
        actor=actor,
        product_id=product_id,
        idempotency_key=parse_idempotency_key(idempotency_key),
        **body,
    )
    location = f"{BASE_PATH}/products/{product_id}/stock-movements"
    headers = {"Location": location, **replay_headers(replayed)}
    return representations.stock_movement(movement), 201, headers


def list_stock_movements(
    actor: Actor, product_id: UUID, limit: int, cursor: str | None = None
) -> Response:
    """Return a page of a product's stock movements."""
    page = stock.list_stock_movements(
        actor=actor, product_id=product_id, limit=limit, cursor=cursor
    )
    path = f"{BASE_PATH}/products/{product_id}/stock-movements"
    body, link = representations.page(page, representations.stock_movement, path, {"limit": limit})
    return body, 200, link


def import_products(
    actor: Actor, body: Iterable[Line], dry_run: bool, skip_faulty: bool
) -> Response:
    """Create or update the products of a file."""
    report = product_files.import_products(
        actor=actor, lines=body, dry_run=dry_run, skip_faulty=skip_faulty
    )
    return representations.product_import(report), 200, {}


def export_products(actor: Actor) -> Response:
    """Return all products on sale as a CSV stream."""
    rows = product_files.export_products(actor=actor)
    headers = {"Content-Disposition": 'attachment; filename="products.csv"'}
    return product_export.as_csv(rows), 200, headers


def _entity_tag(row: Product) -> str:
    # Every order changes the stock in the response, so it changes the tag. If-Match compares only
    # the version: an order does not make an administrator's update fail.
    return preconditions.entity_tag(row.version, row.stock)


def _response(row: Product, status: int, **headers: str) -> Response:
    return representations.product(row), status, {"ETag": _entity_tag(row), **headers}
