"""Products and their stock: the tables, and the queries that list, read and change products."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from peewee import SQL, BigIntegerField, Expression, IntegerField, TextField, UUIDField, fn

from database.adaptive_search import SearchListing, Seek
from database.listing import Sort
from database.statement import Command, Parameter, Statement
from database.table import (
    NO_KEY_UPDATE,
    NO_KEY_UPDATE_SKIP_LOCKED,
    DocumentField,
    InstantField,
    Table,
    check,
    foreign_key,
    index,
    primary_key,
    unique,
)
from database.text_search import has_words, words_of
from domain.paging import SORTED_CHARACTERS


class ProductTable(Table):
    """Products; `archived_at` is set on archived products, which are no longer sold."""

    id = UUIDField()
    sku = TextField(collation='"C"')
    name = TextField(collation='"C"')
    description = TextField()
    price = BigIntegerField()
    images = DocumentField(constraints=[SQL("DEFAULT '[]'")])
    version = IntegerField()
    archived_at = InstantField(null=True)
    created_at = InstantField()
    updated_at = InstantField()
    search = words_of("sku || ' ' || name || ' ' || description")
    # The words of the SKU and the name only: a search lists products with a match here first.
    title_search = words_of("sku || ' ' || name", column_name="called")

    class Meta:
        """The table's name and constraints."""

        table_name = "product"
        constraints = (
            primary_key("pk_product", "id"),
            unique("uq_product_sku", "sku"),
            check("ck_product_price", "price BETWEEN 0 AND 9007199254740991"),
            check("ck_product_version", "version >= 1"),
            check(
                "ck_product_images",
                "jsonb_typeof(images) = 'array' AND jsonb_array_length(images) <= 8",
            ),
        )


class StockTable(Table):
    """The quantity in stock of each product.

    A separate table, since every order updates it: PostgreSQL writes a new version of the whole row
    for each update (MVCC), and this row is small.
    """

    product = foreign_key(ProductTable, "fk_stock_product_id")
    quantity = IntegerField()

    class Meta:
        """The table's name and constraints."""

        table_name = "stock"
        constraints = (
            primary_key("pk_stock", "product_id"),
            check("stock_not_negative", "quantity >= 0"),
        )
        table_settings = "WITH (fillfactor = 50)"


_SORTED_NAME = fn.left(ProductTable.name, SORTED_CHARACTERS)

for _name, _columns in {
    "created_at": "created_at, id",
    "price": "price, id",
    "name": f'"left"(name, {SORTED_CHARACTERS}), id',
}.items():
    index(ProductTable, f"ix_product_{_name}", _columns, where="archived_at IS NULL")
    index(ProductTable, f"ix_product_archived_{_name}", _columns, where="archived_at IS NOT NULL")
index(StockTable, "ix_stock_quantity", "quantity, product_id")
index(ProductTable, "ix_product_search", "search", using="gin")
index(ProductTable, "ix_product_called", "called", using="gin")


class Product(NamedTuple):
    """A product with its stock; the price is in minor units. An image has a `url` and an `alt`."""

    id: UUID
    sku: str
    name: str
    description: str
    price: int
    stock: int
    version: int
    images: list[dict[str, str]]
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None = None


class Offer(NamedTuple):
    """The price and stock of a product, which explain why an order could not be placed."""

    product_id: UUID
    price: int
    available: int


_ALL_PRODUCTS = ProductTable.select(
    ProductTable.id,
    ProductTable.sku,
    ProductTable.name,
    ProductTable.description,
    ProductTable.price,
    StockTable.quantity,
    ProductTable.version,
    ProductTable.images,
    ProductTable.created_at,
    ProductTable.updated_at,
    ProductTable.archived_at,
).join(StockTable, on=StockTable.product == ProductTable.id)
_PRODUCTS = _ALL_PRODUCTS.where(ProductTable.archived_at.is_null())

FIND = Statement(_PRODUCTS.where(ProductTable.id == Parameter("product_id")), Product._make)

# Like FIND, but also finds archived products.
FIND_CREATED = Statement(
    _ALL_PRODUCTS.where(ProductTable.id == Parameter("product_id")), Product._make
)

# Like FIND, but locks the product's row against updates until this transaction ends.
FIND_TO_CHANGE = Statement(
    _PRODUCTS.where(ProductTable.id == Parameter("product_id")).for_update(
        NO_KEY_UPDATE, of=ProductTable
    ),
    Product._make,
)

# Like FIND_TO_CHANGE, but also finds archived products.
FIND_EVEN_ARCHIVED_TO_CHANGE = Statement(
    _ALL_PRODUCTS.where(ProductTable.id == Parameter("product_id")).for_update(
        NO_KEY_UPDATE, of=ProductTable
    ),
    Product._make,
)

# The quantity in stock of a product, archived or not. Locks the row until this transaction ends.
FIND_STOCK_TO_CHANGE: Statement[int] = Statement(
    StockTable.select(StockTable.quantity)
    .where(StockTable.product == Parameter("product_id"))
    .for_update(NO_KEY_UPDATE),
    lambda columns: columns[0],
)

FIND_STOCK: Statement[int] = Statement(
    StockTable.select(StockTable.quantity).where(StockTable.product == Parameter("product_id")),
    lambda columns: columns[0],
)

# Locks the stock rows of the given products, and returns the ids of the products. Skips the rows
# that another transaction has locked (SKIP LOCKED).
FIND_UNLOCKED: Statement[UUID] = Statement(
    StockTable.select(StockTable.product)
    .where(StockTable.product == fn.any(Parameter("product_ids", "uuid[]")))
    .for_update(NO_KEY_UPDATE_SKIP_LOCKED),
    lambda columns: columns[0],
)

SET_STOCK = Command(
    StockTable.update(quantity=Parameter("quantity")).where(
        StockTable.product == Parameter("product_id")
    )
)

FIND_OFFERS = Statement(
    ProductTable.select(ProductTable.id, ProductTable.price, StockTable.quantity)
    .join(StockTable, on=StockTable.product == ProductTable.id)
    .where(
        ProductTable.archived_at.is_null(),
        ProductTable.id == fn.any(Parameter("product_ids", "uuid[]")),
    ),
    Offer._make,
)

# Returns one product, archived or not; no row if no product was ever created.
FIND_ANY = Statement(ProductTable.select(ProductTable.id).limit(1), lambda columns: columns[0])

INSERT = Command(
    ProductTable.insert(
        {
            getattr(ProductTable, name): Parameter(name)
            for name in ("id", "sku", "name", "description", "price")
        }
        | {
            ProductTable.images: Parameter("images", "jsonb"),
            ProductTable.version: 1,
            ProductTable.created_at: fn.now(),
            ProductTable.updated_at: fn.now(),
        }
    )
)

INSERT_STOCK = Command(
    StockTable.insert(
        {StockTable.product: Parameter("product_id"), StockTable.quantity: Parameter("quantity")}
    )
)

UPDATE = Command(
    ProductTable.update(
        sku=Parameter("sku"),
        name=Parameter("name"),
        description=Parameter("description"),
        price=Parameter("price"),
        images=Parameter("images", "jsonb"),
        version=ProductTable.version + 1,
        updated_at=fn.clock_timestamp(),
    ).where(ProductTable.id == Parameter("id"))
)

ARCHIVE = Command(
    ProductTable.update(
        archived_at=fn.statement_timestamp(),
        updated_at=fn.statement_timestamp(),
        version=ProductTable.version + 1,
    ).where(ProductTable.id == Parameter("product_id"))
)
RESTORE = Command(
    ProductTable.update(
        archived_at=None,
        updated_at=fn.clock_timestamp(),
        version=ProductTable.version + 1,
    ).where(ProductTable.id == Parameter("product_id"))
)

_WORD_FILTERS = frozenset({"words", "title_words"})
_PRICE_BOUNDS = frozenset({"min_price", "max_price"})
_STOCK_BOUNDS = frozenset({"min_stock", "max_stock"})


def _catalogue(archived: Expression) -> SearchListing[Product]:
    return SearchListing(
        _ALL_PRODUCTS.where(archived),
        Product._make,
        id_field=ProductTable.id,
        sorts={
            "name": Sort(_SORTED_NAME, str, lambda product: product.name),
            "price": Sort(
                ProductTable.price, int, lambda product: product.price, bounds=_PRICE_BOUNDS
            ),
            "created_at": Sort(
                ProductTable.created_at, datetime, lambda product: product.created_at
            ),
            "stock": Sort(
                StockTable.quantity,
                int,
                lambda product: product.stock,
                bounds=_STOCK_BOUNDS,
                id_field=StockTable.product,
            ),
        },
        filters={
            "sku": ProductTable.sku == Parameter("sku"),
            "other_sku": ProductTable.sku != Parameter("other_sku"),
            "words": has_words(ProductTable.search),
            "title_words": has_words(ProductTable.title_search, "title_words"),
            "without_title_words": ~has_words(ProductTable.title_search, "without_title_words"),
            "min_price": ProductTable.price >= Parameter("min_price"),
            "max_price": ProductTable.price <= Parameter("max_price"),
            "min_stock": StockTable.quantity >= Parameter("min_stock"),
            "max_stock": StockTable.quantity <= Parameter("max_stock"),
        },
        seeks=(
            # Counted first: the count in this B-tree index stops at the limit, but a GIN index
            # collects all matches before it returns the first one.
            Seek(StockTable.select(StockTable.product), _STOCK_BOUNDS),
            Seek(
                ProductTable.select(ProductTable.id).where(archived),
                _WORD_FILTERS | _PRICE_BOUNDS,
                more_filters=frozenset({"without_title_words", "other_sku"}),
                sorts=frozenset({"name", "price", "created_at"}),
            ),
        ),
        misestimated=_WORD_FILTERS | _STOCK_BOUNDS,
        unique={"sku"},
    )


CATALOGUE = _catalogue(ProductTable.archived_at.is_null())
ARCHIVED = _catalogue(ProductTable.archived_at.is_null(False))
