"""Keyset pagination: lists that are filtered, sorted, and read page by page.

The next page begins after the sort key and the id of the last row of the previous page. For a list
of products by price:

    ... WHERE (price, id) > (1990, '019ab016-...') ORDER BY price, id LIMIT 21

An index scan on (price, id) reads only these rows. So the last page costs as much as the first,
and rows that are inserted or deleted do not shift the following pages.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from peewee import SQL, ColumnBase, Expression, Field, Select, Tuple

from database.naming import Named
from database.statement import Parameter, Statement, sql_of
from domain import paging
from domain.paging import Page, Position, SortValue

Row = TypeVar("Row")

# One row more than the contract's default page size (openapi/components/parameters/Limit.yaml)
_DEFAULT_PAGE_ROWS = 21


@dataclass(frozen=True)
class Sort(Generic[Row]):
    """A sort key of a list: the SQL expression, and a function that reads it from a row.

    `bounds` are the names of filters that limit this expression, such as a minimum price: with such
    a filter, an index scan on the sort key reads only this range (`adaptive_search.py` uses this).
    `value_type` is the Python type of the expression, for the cursor. `id_field` is the
    tie-breaker column, if the index of this sort key is on another table than the list.
    """

    expression: ColumnBase
    value_type: type[SortValue]
    value: Callable[[Row], SortValue]
    bounds: frozenset[str] = frozenset()
    id_field: Field | None = None


class QueryVariant(NamedTuple):
    """What determines the SQL of a page: sort key, filters, and whether there is a cursor."""

    # The name of a sort key, with "-" before it for descending.
    sort: str
    # The names of the filters in use.
    filters: frozenset[str]
    # Whether the page begins after a cursor, so is not the first page.
    after_cursor: bool

    @property
    def label(self) -> str:
        """The variant's name in logs and traces: `sort=-price filters=q,status next`."""
        filters = f" filters={','.join(sorted(self.filters))}" if self.filters else ""
        return f"sort={self.sort}{filters}{' next' if self.after_cursor else ''}"


class Listing(Named, Generic[Row]):
    """A list with its sort keys and filters.

    The rows of `query` must have an `id`. `filters` maps names to conditions with a `Parameter` of
    the same name. One statement is generated for each variant when it is first used.

    `any_of` maps names to an indexed expression and the SQL type of an array. Such a filter takes
    several values, and a row matches if the expression equals one of them. For `expression IN
    (...)`, PostgreSQL would read and sort all rows with any of the values. But for one value, an
    index that begins with the expression returns rows in sort order. So the query reads the first
    rows for each value, and merges them into a page.

    `keys` are the names of equality filters on the first column of an index whose next columns are
    the sort key; each sort key has such an index. If only these filters are used and the page has
    the default size, the best plan is always an index scan that stops after the page. So this
    statement is prepared.
    """

    def __init__(
        self,
        query: Select,
        row: Callable[..., Row],
        *,
        id_field: Field,
        sorts: Mapping[str, Sort[Row]],
        filters: Mapping[str, Expression],
        any_of: Mapping[str, tuple[ColumnBase, str]] | None = None,
        keys: Collection[str] = (),
    ) -> None:
        super().__init__()
        self._query = query
        self._row = row
        self._id = id_field
        self._sorts = sorts
        self._filters = filters
        self._any_of = any_of or {}
        self._keys = frozenset(keys)
        self._default_size_statements: dict[QueryVariant, Statement[Row]] = {}
        self._statements: dict[QueryVariant, Statement[Row]] = {}

    def page(self, *, sort: str, limit: int, cursor: str | None, **filters: object) -> Page[Row]:
        """Return a page of at most `limit` rows. A filter whose value is None is not applied.

        `sort` is the name of a sort key, with `-` before it for descending.
        """
        sort_key = self._sort_key(sort)
        parameters = {name: value for name, value in filters.items() if value is not None}
        variant = QueryVariant(sort, frozenset(parameters), cursor is not None)
        if cursor is not None:
            position = paging.decode(cursor, sort_key.value_type)
            parameters.update(after_value=position.value, after_id=position.id)
        # One row more than requested: it shows whether there is a next page.
        rows = self._find_rows(variant, {**parameters, "limit": limit + 1})
        if len(rows) <= limit:
            return Page(rows, None)
        del rows[limit:]
        last: Any = rows[-1]
        return Page(rows, paging.encode(Position(sort_key.value(last), last.id)))

    def statement(self, variant: QueryVariant) -> Statement[Row]:
        """Return the statement for a variant."""
        statement = self._statements.get(variant)
        if statement is None:
            statement = self._statements[variant] = self._row_statement(
                self._select(variant), variant.label
            )
        return statement

    def _find_rows(self, variant: QueryVariant, parameters: Mapping[str, Any]) -> list[Row]:
        if parameters["limit"] == _DEFAULT_PAGE_ROWS and variant.filters <= self._keys:
            return self._default_size_statement(variant).all(**parameters)
        return self.statement(variant).all(**parameters)

    def _default_size_statement(self, variant: QueryVariant) -> Statement[Row]:
        """Return the prepared statement for a page of the default size."""
        statement = self._default_size_statements.get(variant)
        if statement is None:
            # A constant limit: with a parameter, the generic plan assumes that 10% of the rows are
            # returned.
            select = self._select(variant).limit(_DEFAULT_PAGE_ROWS)
            name = f"{self.name} page {variant.label}"
            statement = self._default_size_statements[variant] = Statement(
                select, self._row, name=name
            )
        return statement

    def _row_statement(self, select: Select, label: str) -> Statement[Row]:
        # Not prepared: the best plan depends on the values of the filters.
        return Statement(select, self._row, prepared=False, name=f"{self.name} {label}")

    def _select(self, variant: QueryVariant) -> Select:
        merged = sorted(variant.filters & self._any_of.keys())
        if merged:
            return self._merge(variant, merged)
        return self._sort_and_limit(self._query, variant.sort, self._conditions(variant))

    def _merge(self, variant: QueryVariant, names: Sequence[str]) -> Select:
        """Return the query for a page that is merged from the first rows for each value.

        `names` are filters of `any_of`. With several of them there is one part for each
        combination of their values.
        """
        part = self._id.model.select(
            self._id.alias("id"), self._sort_key(variant.sort).expression.alias("key")
        )
        for name in names:
            part = part.where(Expression(self._any_of[name][0], "=", SQL(f"{name}.value")))
        part = self._sort_and_limit(part, variant.sort, self._conditions(variant))
        values = ", ".join(
            f"unnest(%({name})s::{self._any_of[name][1]}) AS {name} (value)" for name in names
        )
        direction = sql_direction(variant.sort)
        ids = SQL(
            f"(SELECT part.id FROM {values}, LATERAL ({sql_of(part)}) AS part"  # noqa: S608  # from names in code
            f" ORDER BY part.key {direction}, part.id {direction} LIMIT %(limit)s)"
        )
        page = self._query.where(Expression(self._id, "IN", ids))
        return self._sort_and_limit(page, variant.sort, [])

    def _conditions(self, variant: QueryVariant) -> list[ColumnBase]:
        """Return the conditions of the filters (without those of `any_of`) and of the cursor."""
        names = sorted(variant.filters - self._any_of.keys())
        conditions = [self._condition(name, variant.sort) for name in names]
        if variant.after_cursor:
            conditions.append(self._after_cursor(variant.sort))
        return conditions

    def _condition(self, name: str, _sort: str) -> ColumnBase:
        """Return the condition of a filter. A subclass can let it depend on the sort key."""
        return self._filters[name]

    def _sort_and_limit(self, query: Select, sort: str, conditions: Sequence[ColumnBase]) -> Select:
        keys = self._sort_columns(sort)
        order = [key.desc() if sort.startswith("-") else key.asc() for key in keys]
        query = query.order_by(*order)
        for condition in conditions:
            query = query.where(condition)
        return query.limit(Parameter("limit"))

    def _after_cursor(self, sort: str) -> Expression:
        # A forged cursor can contain any 64-bit integer. Without the cast, PostgreSQL gives the
        # parameter the type of the column; in an integer column, a larger value is an error.
        cast = "bigint" if self._sort_key(sort).value_type is int else None
        position = Tuple(Parameter("after_value", cast), Parameter("after_id"))
        operator = "<" if sort.startswith("-") else ">"
        return Expression(Tuple(*self._sort_columns(sort)), operator, position)

    def _sort_columns(self, sort: str) -> tuple[ColumnBase, Field]:
        sort_key = self._sort_key(sort)
        return sort_key.expression, sort_key.id_field or self._id

    def _sort_key(self, sort: str) -> Sort[Row]:
        return self._sorts[sort.removeprefix("-")]


def sql_direction(sort: str) -> str:
    """Return the direction of a sort in SQL."""
    return "DESC" if sort.startswith("-") else "ASC"
