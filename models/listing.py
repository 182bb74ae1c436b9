"""Lists that are read page by page: filtered, in a total order, from just after some row.

Pages are found by keyset: the rows after (value, id) in the index of that order, so that the last
page costs what the first does, and rows that come and go never shift the ones to follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from peewee import SQL, ColumnBase, Expression, Field, Select, Tuple

from domain import paging
from domain.paging import Page, Position, SortValue
from models.statement import Parameter, Statement, sql_of

Row = TypeVar("Row")


@dataclass(frozen=True)
class Sort(Generic[Row]):
    """What a list can be sorted by: an expression in SQL, and the same value of a row."""

    expression: ColumnBase
    kind: type[SortValue]
    value: Callable[[Row], SortValue]
    # The id as it stands in the index that the list is read from, where that is another table's.
    id_field: Field | None = None


class Listing(Generic[Row]):
    """A list, its possible orders and filters.

    One statement is built for each combination of sort and filters that is asked for: there are
    only so many. Rows have an `id`; filters are conditions with `Parameter`s of their names. Those
    of `any_of` are given several values, and leave the rows whose column has one of them.
    """

    def __init__(
        self,
        query: Select,
        row: Callable[..., Row],
        *,
        id_field: Field,
        sorts: Mapping[str, Sort[Row]],
        filters: Mapping[str, Expression],
        any_of: Mapping[str, Field] | None = None,
    ) -> None:
        self._query = query
        self._row = row
        self._id = id_field
        self._sorts = sorts
        self._filters = filters
        self._any_of = any_of or {}
        self._statements: dict[tuple[str, frozenset[str], bool], Statement[Row]] = {}

    def page(self, *, sort: str, limit: int, cursor: str | None, **filters: object) -> Page[Row]:
        """Return a page of at most `limit` rows; filters that are None do not filter.

        `sort` is the name of a sort, with `-` before it for the descending order.
        """
        order = self._sorts[sort.removeprefix("-")]
        parameters = {name: value for name, value in filters.items() if value is not None}
        shape = (sort, frozenset(parameters), cursor is not None)
        if cursor is not None:
            position = paging.decode(cursor, order.kind)
            parameters.update(after_value=position.value, after_id=position.id)
        # One row more than asked for tells whether there is another page.
        rows = self.statement(*shape).all(limit=limit + 1, **parameters)
        if len(rows) <= limit:
            return Page(rows, None)
        del rows[limit:]
        last: Any = rows[-1]
        return Page(rows, paging.encode(Position(order.value(last), last.id)))

    def statement(self, sort: str, filters: frozenset[str], goes_on: bool) -> Statement[Row]:
        """Return the statement for a sort and a set of filters, for the first page or another."""
        shape = (sort, filters, goes_on)
        known = self._statements.get(shape)
        if known is None:
            # Planned each time: which index is best depends on how much a filter leaves over.
            known = Statement(self._select(*shape), self._row, prepared=False)
            self._statements[shape] = known
        return known

    def _select(self, sort: str, filters: frozenset[str], goes_on: bool) -> Select:
        """Build the query.

        Where one of several values will do, the page is put together from the first rows of each:
        an index that begins with the column gives these in order. Were all looked for at once,
        PostgreSQL would read and sort every row that has one of them, or the whole list.
        """
        plain = filters - self._any_of.keys()
        several = sorted(filters & self._any_of.keys())
        if not several:
            return self._limited(self._query, sort, plain, goes_on)
        key = self._sorts[sort.removeprefix("-")].expression
        model = self._id.model
        of_each = model.select(self._id.alias("id"), key.alias("key"))
        for name in several:
            of_each = of_each.where(self._any_of[name] == SQL(f"{name}.value"))
        of_each = self._limited(of_each, sort, plain, goes_on)
        wanted = ", ".join(f"unnest(%({name})s::text[]) AS {name} (value)" for name in several)
        way = "DESC" if sort.startswith("-") else "ASC"
        first = SQL(
            f"(SELECT of_each.id FROM {wanted}, LATERAL ({sql_of(of_each)}) AS of_each"  # noqa: S608  # from names in code
            f" ORDER BY of_each.key {way}, of_each.id {way} LIMIT %(limit)s)"
        )
        return self._limited(
            self._query.where(Expression(self._id, "IN", first)), sort, frozenset(), goes_on=False
        )

    def _limited(self, query: Select, sort: str, filters: frozenset[str], goes_on: bool) -> Select:
        descending = sort.startswith("-")
        order = self._sorts[sort.removeprefix("-")]
        keys = (order.expression, order.id_field or self._id)
        query = query.order_by(*(key.desc() if descending else key.asc() for key in keys))
        for name in sorted(filters):
            query = query.where(self._filters[name])
        if goes_on:
            after = Tuple(Parameter("after_value"), Parameter("after_id"))
            query = query.where(Expression(Tuple(*keys), "<" if descending else ">", after))
        return query.limit(Parameter("limit"))
