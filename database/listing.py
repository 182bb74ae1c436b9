"""Lists that are read page by page: filtered, in a total order, from just after some row.

Pages are found by keyset: the rows after (value, id) in the index of that order, so that the last
page costs what the first does, and rows that come and go never shift the ones to follow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any, Generic, TypeVar

from peewee import SQL, ColumnBase, Expression, Field, Function, Select, Tuple, fn

from database.statement import Parameter, Statement, sql_of
from domain import paging
from domain.paging import Page, Position, SortValue

Row = TypeVar("Row")
_Shape = tuple[str, frozenset[str], bool]  # a sort, filters, and whether it is not the first page


@dataclass(frozen=True)
class Sort(Generic[Row]):
    """What a list can be sorted by: an expression in SQL, and the same value of a row.

    `bounds` are the filters of the same value: its index begins and ends where they say. `id_field`
    is the id beside the value in that index, where it is on another table.
    """

    expression: ColumnBase
    kind: type[SortValue]
    value: Callable[[Row], SortValue]
    bounds: frozenset[str] = frozenset()
    id_field: Field | None = None


# Where so many of the next rows pass the filters, a page may well be near.
_GLANCED_AT = 50
_PROMISING = 2
# A page that is not among the next so many rows is far, whatever share of all rows pass.
_NEAR = 2000
# Fewer than these are found and sorted sooner than a page of them is met along the list.
_FEW = 700
# And fewer than these sooner than one that is far.
_MANY = 10_000


@dataclass(frozen=True, eq=False)
class Seek:
    """Another way to rows that are few: the ids that an index of these filters' own gives.

    `more` are the other filters and `sorts` the orders that can be had of the same table.
    """

    ids: Select
    filters: frozenset[str]
    more: frozenset[str] = frozenset()
    sorts: frozenset[str] = frozenset()

    def serves(self, sort: str, filters: frozenset[str]) -> bool:
        """Tell whether the order and all these filters can be had of its table alone."""
        return sort.removeprefix("-") in self.sorts and filters <= self.filters | self.more


class Listing(Generic[Row]):
    """A list, its possible orders and filters.

    One statement is built for each combination of sort and filters that is asked for: there are
    only so many. Rows have an `id`; filters are conditions with `Parameter`s of their names. Those
    of `any_of` are given several values, and leave the rows whose column has one of them; beside
    the column, or what else an index begins with, stands the type of the values' array.

    A filter that leaves one row of a thousand has the whole list read along the index of its order
    before a page is full; one that leaves every second is best served so, unless all of these come
    late in the list. PostgreSQL cannot tell them apart. So the list is tried: where next to none of
    its next rows pass, the first of the `seeks` that gives but few finds them, and where no page is
    near, the first that gives not too many. Of filters that are `misjudged` nothing but a seek, or
    an order that they bound, uses an index: PostgreSQL would take it for one that leaves few, and
    read every row that it leaves, or look for each row among them. One that is `unique` leaves one
    row at most, which PostgreSQL finds by itself.
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
        seeks: Sequence[Seek] = (),
        misjudged: Collection[str] = (),
        unique: Collection[str] = (),
    ) -> None:
        self._query = query
        self._row = row
        self._id = id_field
        self._sorts = sorts
        self._filters = filters
        self._any_of = any_of or {}
        self._seeks = seeks
        self._misjudged = frozenset(misjudged)
        self._unique = frozenset(unique)
        self._statements: dict[tuple[str, frozenset[str], bool, Seek | None], Statement[Row]] = {}
        self._glances: dict[_Shape, Statement[int]] = {}
        self._near: dict[_Shape, Statement[Row]] = {}
        self._probes: dict[tuple[Seek, frozenset[str]], Statement[int]] = {}

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
        rows = self._found(shape, {**parameters, "limit": limit + 1})
        if len(rows) <= limit:
            return Page(rows, None)
        del rows[limit:]
        last: Any = rows[-1]
        return Page(rows, paging.encode(Position(order.value(last), last.id)))

    def statement(
        self, sort: str, filters: frozenset[str], goes_on: bool, *, seek: Seek | None = None
    ) -> Statement[Row]:
        """Return the statement for a sort and a set of filters, for the first page or another."""
        shape = (sort, filters, goes_on, seek)
        known = self._statements.get(shape)
        if known is None:
            # Planned each time: which index is best depends on how much a filter leaves over.
            known = Statement(self._select(*shape), self._row, prepared=False)
            self._statements[shape] = known
        return known

    def glance(self, sort: str, filters: frozenset[str], goes_on: bool) -> Statement[int]:
        """Return the statement that counts which of the next few rows pass, up to enough."""
        shape = (sort, filters, goes_on)
        known = self._glances.get(shape)
        if known is None:
            tried = sql_of(self._tried(shape).limit(_GLANCED_AT))
            known = Statement(
                f"SELECT count(*) FROM (SELECT FROM ({tried}) AS tried"  # noqa: S608
                f" WHERE passes LIMIT {_PROMISING}) AS enough",
                lambda columns: columns[0],
                prepared=False,
            )
            self._glances[shape] = known
        return known

    def near(self, sort: str, filters: frozenset[str], goes_on: bool) -> Statement[Row]:
        """Return the statement that gives those of the next rows that pass, if they are near."""
        shape = (sort, filters, goes_on)
        known = self._near.get(shape)
        if known is None:
            page = self._page_of(sql_of(self._tried(shape).limit(_NEAR)), sort, where="passes")
            known = Statement(self._select_of(page, sort), self._row, prepared=False)
            self._near[shape] = known
        return known

    def _tried(self, shape: _Shape) -> Select:
        """Return the next rows of a list, and of each whether it passes the filters."""
        sort, filters, goes_on = shape
        bounds = self._bounds(sort)
        passes = reduce(and_, (self._filters[name] for name in sorted(filters - bounds)))
        of_one_table = (one.ids for one in self._seeks if one.serves(sort, filters))
        rows = next(of_one_table, self._query)
        id_, key = self._id.alias("id"), self._sorts[sort.removeprefix("-")].expression.alias("key")
        rows = rows.columns(id_, key, passes.alias("passes"))
        return self._limited(rows, sort, filters & bounds, goes_on)

    def probe(self, seek: Seek, filters: frozenset[str]) -> Statement[int]:
        """Return the statement that counts what a seek gives, up to so many."""
        known = self._probes.get((seek, filters))
        if known is None:
            ids = sql_of(self._sought_ids(seek, filters).limit(Parameter("limit")))
            known = Statement(
                f"SELECT count(*) FROM ({ids}) AS few",  # noqa: S608  # from names in code
                lambda columns: columns[0],
                prepared=False,
            )
            self._probes[seek, filters] = known
        return known

    def _found(self, shape: _Shape, parameters: Mapping[str, Any]) -> list[Row]:
        """Return the rows, found by the index of the order or by the seek that does so sooner."""
        sort, filters, _ = shape
        left = filters - self._bounds(sort)
        seeks = [seek for seek in self._seeks if seek.filters & left]
        if not seeks or filters & self._unique:
            return self.statement(*shape).all(**parameters)

        def of_fewer_than(count: int) -> Seek | None:
            for seek in seeks:
                if self.probe(seek, filters).one(**{**parameters, "limit": count}) != count:
                    return seek
            return None

        promising = self.glance(*shape).one(**parameters) == _PROMISING
        seek = None if promising else of_fewer_than(_FEW)
        if seek is None:
            rows = self.near(*shape).all(**parameters)
            if len(rows) == parameters["limit"]:
                return rows
            seek = of_fewer_than(_MANY)
        return self.statement(*shape, seek=seek).all(**parameters)

    def _bounds(self, sort: str) -> frozenset[str]:
        return self._sorts[sort.removeprefix("-")].bounds

    def _select(
        self, sort: str, filters: frozenset[str], goes_on: bool, seek: Seek | None
    ) -> Select:
        """Build the query.

        Where one of several values will do, the page is put together from the first rows of each:
        an index that begins with the column gives these in order. Were all looked for at once,
        PostgreSQL would read and sort every row that has one of them, or the whole list.
        """
        plain = filters - self._any_of.keys()
        several = sorted(filters & self._any_of.keys())
        if not several:
            if seek is None:
                return self._limited(self._query, sort, plain, goes_on)
            return self._sought(seek, sort, filters, goes_on)
        key = self._sorts[sort.removeprefix("-")].expression
        model = self._id.model
        of_each = model.select(self._id.alias("id"), key.alias("key"))
        for name in several:
            of_each = of_each.where(Expression(self._any_of[name][0], "=", SQL(f"{name}.value")))
        of_each = self._limited(of_each, sort, plain, goes_on)
        wanted = ", ".join(
            f"unnest(%({name})s::{self._any_of[name][1]}) AS {name} (value)" for name in several
        )
        way = "DESC" if sort.startswith("-") else "ASC"
        first = SQL(
            f"(SELECT of_each.id FROM {wanted}, LATERAL ({sql_of(of_each)}) AS of_each"  # noqa: S608  # from names in code
            f" ORDER BY of_each.key {way}, of_each.id {way} LIMIT %(limit)s)"
        )
        return self._limited(
            self._query.where(Expression(self._id, "IN", first)), sort, frozenset(), goes_on=False
        )

    def _sought(self, seek: Seek, sort: str, filters: frozenset[str], goes_on: bool) -> Select:
        ids = self._sought_ids(seek, filters)
        if not seek.serves(sort, filters):
            found = self._query.where(self._among(sql_of(ids)))
            left = filters - seek.filters - seek.more
            return self._limited(found, sort, left, goes_on, are_found=True)
        key = self._sorts[sort.removeprefix("-")].expression
        ids = ids.where(self._after(sort)) if goes_on else ids
        # OFFSET 0, or the index of the order would be taken after all.
        every = sql_of(ids.columns(self._id.alias("id"), key.alias("key")).offset(0))
        return self._select_of(self._page_of(every, sort), sort)

    def _page_of(self, rows: str, sort: str, where: str = "true") -> str:
        """Return the SQL that gives the ids of a page of rows that are an id and a key."""
        way = "DESC" if sort.startswith("-") else "ASC"
        return (
            f"SELECT found.id FROM ({rows}) AS found WHERE {where}"  # noqa: S608  # from names in code
            f" ORDER BY found.key {way}, found.id {way} LIMIT %(limit)s"
        )

    def _select_of(self, ids: str, sort: str) -> Select:
        return self._limited(self._query.where(self._among(ids)), sort, frozenset(), goes_on=False)

    def _sought_ids(self, seek: Seek, filters: frozenset[str]) -> Select:
        of_table = sorted(filters & (seek.filters | seek.more))
        return seek.ids.where(*(self._filters[name] for name in of_table))

    def _among(self, ids: str) -> Expression:
        # As an array: PostgreSQL then expects few of them, whatever it thinks of the filters.
        return Expression(self._id, "=", SQL(f"ANY (ARRAY({ids}))"))

    def _limited(
        self,
        query: Select,
        sort: str,
        filters: frozenset[str],
        goes_on: bool,
        *,
        are_found: bool = False,
    ) -> Select:
        """Return the page of a query's rows; where these few are found already, only of those."""
        descending = sort.startswith("-")
        query = query.order_by(
            *(key.desc() if descending else key.asc() for key in self._keys(sort))
        )
        for name in sorted(filters):
            passes = self._filters[name]
            by_row = are_found or name in self._misjudged - self._bounds(sort)
            query = query.where(_judged_by_row(passes) if by_row else passes)
        if goes_on:
            after = self._after(sort)
            query = query.where(_judged_by_row(after) if are_found else after)
        return query.limit(Parameter("limit"))

    def _after(self, sort: str) -> Expression:
        position = Tuple(Parameter("after_value"), Parameter("after_id"))
        way = "<" if sort.startswith("-") else ">"
        return Expression(Tuple(*self._keys(sort)), way, position)

    def _keys(self, sort: str) -> tuple[ColumnBase, Field]:
        order = self._sorts[sort.removeprefix("-")]
        return order.expression, order.id_field or self._id


def _judged_by_row(condition: Expression) -> Function:
    """Return a condition that PostgreSQL can look up in no index, but must ask of each row.

    Nor does it see through it how many rows that leaves, of which it thinks too little of words.
    """
    return fn.coalesce(condition, SQL("false"))
