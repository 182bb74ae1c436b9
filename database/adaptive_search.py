"""Lists with full-text search, which choose between two query plans for each page.

An example: `GET /products?q=mug&sort=price&limit=20` in a catalogue of 100,000 products. The page
needs 21 rows (one more than requested), and there are two ways to find them:

- **Scan the sort index.** Read products by price from `ix_product_price`, and keep those that
  contain the word, until 21 are found. If every 10th product is a mug, this reads 210 rows. If
  there are 30 mugs, it reads all 100,000 rows.
- **Seek in the search index.** Read the ids of all mugs from the GIN index `ix_product_search`,
  fetch these rows, sort them, and keep 21. If there are 30 mugs, this reads 30 rows. If every 10th
  product is a mug, it reads 10,000.

PostgreSQL chooses a plan by its row estimates, which are far too low for text search, and which do
not show where in the sort order the matches are. So `SearchListing` measures before it chooses:

1. Sample: read the next 50 rows of the sort index. If at least 2 match, a page is probably near
   (2 of 50 means 21 matches in 525 rows): continue with step 3.
2. Count the matches in the search index, up to 700. If there are fewer, seek: fetch and sort them.
   With 30 mugs the work ends here, after 50 + 30 + 30 rows.
3. Read the next 2,000 rows of the sort index. If they contain a page, return it. With a mug in
   every 10th row the work ends here, and PostgreSQL stops after 210 rows.
4. Count the matches up to 10,000. If there are fewer, seek; otherwise scan the sort index.

A list can have several search indexes (seeks); steps 2 and 4 use the first with fewer matches than
the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any

from peewee import SQL, ColumnBase, Expression, Field, Select, fn

from database.listing import Listing, QueryVariant, Row, Sort, sql_direction
from database.statement import Parameter, Statement, sql_of

# The numbers of rows in the steps above, measured by `benchmarks/growth`.
_SAMPLE_ROWS = 50
_SAMPLE_MATCHES = 2
_NEARBY_ROWS = 2000
# With fewer matches than this, fetching and sorting all of them is faster than scanning the sort
# index, even if the next rows of the sort index contain a whole page.
_FEW_MATCHES = 700
# The same limit for step 4, when the next rows are known to contain less than a page.
_MANY_MATCHES = 10_000


@dataclass(frozen=True, eq=False)
class Seek:
    """A search index: finds the ids of all rows that match `filters`.

    `ids` selects the ids from one table. `more_filters` and `sorts` are the other filters and the
    sort keys that need no other table.
    """

    ids: Select
    filters: frozenset[str]
    more_filters: frozenset[str] = frozenset()
    sorts: frozenset[str] = frozenset()

    def covers(self, variant: QueryVariant) -> bool:
        """Return whether the table of `ids` has the sort key and the columns of all filters."""
        sort = variant.sort.removeprefix("-")
        return sort in self.sorts and variant.filters <= self.filters | self.more_filters


class SearchListing(Listing[Row]):
    """A list that can be searched by `seeks`: see the example in the module's docstring.

    `misestimated` are filters for which PostgreSQL's row estimate is far too low. Their conditions
    are hidden from the planner, except in a seek and as bounds of the sort key. Otherwise the
    planner would choose to fetch and sort all matches, however many there are.
    `unique` are filters that match at most one row: for these, the planner finds the best plan.
    """

    def __init__(
        self,
        query: Select,
        row: Callable[..., Row],
        *,
        id_field: Field,
        sorts: Mapping[str, Sort[Row]],
        filters: Mapping[str, Expression],
        seeks: Sequence[Seek],
        misestimated: Collection[str] = (),
        unique: Collection[str] = (),
    ) -> None:
        super().__init__(query, row, id_field=id_field, sorts=sorts, filters=filters)
        self._seeks = seeks
        self._misestimated = frozenset(misestimated)
        self._unique = frozenset(unique)
        self._samples: dict[QueryVariant, Statement[int]] = {}
        self._nearby_pages: dict[QueryVariant, Statement[Row]] = {}
        self._match_counts: dict[tuple[Seek, frozenset[str]], Statement[int]] = {}
        self._seek_pages: dict[tuple[Seek, QueryVariant], Statement[Row]] = {}

    def _find_rows(self, variant: QueryVariant, parameters: Mapping[str, Any]) -> list[Row]:
        filters = variant.filters - self._sort_key(variant.sort).bounds
        seeks = [seek for seek in self._seeks if seek.filters & filters]
        if not seeks or variant.filters & self._unique:
            return super()._find_rows(variant, parameters)

        def seek_with_fewer_than(limit: int) -> Seek | None:
            for seek in seeks:
                matches = self.match_count(seek, variant.filters)
                if matches.one(**{**parameters, "limit": limit}) != limit:
                    return seek
            return None

        page_is_near = self.sample(variant).one(**parameters) == _SAMPLE_MATCHES
        seek = None if page_is_near else seek_with_fewer_than(_FEW_MATCHES)
        if seek is None:
            rows = self.nearby_page(variant).all(**parameters)
            if len(rows) == parameters["limit"]:
                return rows
            seek = seek_with_fewer_than(_MANY_MATCHES)
        if seek is None:
            return super()._find_rows(variant, parameters)
        return self.seek_page(seek, variant).all(**parameters)

    def sample(self, variant: QueryVariant) -> Statement[int]:
        """Return the statement that counts the matches in a sample (step 1), up to 2."""
        statement = self._samples.get(variant)
        if statement is None:
            rows = sql_of(self._next_rows(variant).limit(_SAMPLE_ROWS))
            statement = self._samples[variant] = _count(
                f"SELECT FROM ({rows}) AS next_rows WHERE matches LIMIT {_SAMPLE_MATCHES}",
                name=f"{self.name} sample {variant.label}",
            )
        return statement

    def match_count(self, seek: Seek, filters: frozenset[str]) -> Statement[int]:
        """Return the statement that counts the matches of a seek, up to the parameter `limit`."""
        statement = self._match_counts.get((seek, filters))
        if statement is None:
            ids = self._seek_ids(seek, filters).limit(Parameter("limit"))
            statement = self._match_counts[seek, filters] = _count(
                sql_of(ids), name=f"{self.name} count filters={','.join(sorted(filters))}"
            )
        return statement

    def nearby_page(self, variant: QueryVariant) -> Statement[Row]:
        """Return the statement for the matches among the next rows of the sort index (step 3)."""
        statement = self._nearby_pages.get(variant)
        if statement is None:
            rows = sql_of(self._next_rows(variant).limit(_NEARBY_ROWS))
            statement = self._row_statement(
                self._page_of(rows, variant.sort, where="matches"), f"nearby {variant.label}"
            )
            self._nearby_pages[variant] = statement
        return statement

    def seek_page(self, seek: Seek, variant: QueryVariant) -> Statement[Row]:
        """Return the statement that fetches and sorts the matches of a seek."""
        statement = self._seek_pages.get((seek, variant))
        if statement is None:
            statement = self._row_statement(
                self._select_by_seek(seek, variant), f"seek {variant.label}"
            )
            self._seek_pages[seek, variant] = statement
        return statement

    def _next_rows(self, variant: QueryVariant) -> Select:
        """Return the query for the next rows of the sort index.

        Its columns are the id, the sort key, and whether the row matches the filters. Bounds of
        the sort key are applied to the scan itself.
        """
        sort_key = self._sort_key(variant.sort)
        names = sorted(variant.filters - sort_key.bounds)
        matches = reduce(and_, (self._filters[name] for name in names))
        query = next((seek.ids for seek in self._seeks if seek.covers(variant)), self._query)
        query = query.columns(
            self._id.alias("id"), sort_key.expression.alias("key"), matches.alias("matches")
        )
        bounds = variant._replace(filters=variant.filters & sort_key.bounds)
        return self._sort_and_limit(query, variant.sort, self._conditions(bounds))

    def _select_by_seek(self, seek: Seek, variant: QueryVariant) -> Select:
        ids = self._seek_ids(seek, variant.filters)
        if not seek.covers(variant):
            rest = sorted(variant.filters - seek.filters - seek.more_filters)
            conditions: list[ColumnBase] = [self._filters[name] for name in rest]
            if variant.after_cursor:
                conditions.append(self._after_cursor(variant.sort))
            return self._sort_and_limit(
                self._with_ids(sql_of(ids)),
                variant.sort,
                [_hide(condition) for condition in conditions],
            )
        if variant.after_cursor:
            ids = ids.where(self._after_cursor(variant.sort))
        # OFFSET 0 is an optimization fence: without it, the planner could use the sort index here.
        key = self._sort_key(variant.sort).expression.alias("key")
        rows = sql_of(ids.columns(self._id.alias("id"), key).offset(0))
        return self._page_of(rows, variant.sort)

    def _seek_ids(self, seek: Seek, filters: frozenset[str]) -> Select:
        names = sorted(filters & (seek.filters | seek.more_filters))
        return seek.ids.where(*(self._filters[name] for name in names))

    def _page_of(self, rows: str, sort: str, where: str = "true") -> Select:
        """Return the query for a page of `rows`: SQL whose columns are an `id` and a `key`."""
        direction = sql_direction(sort)
        ids = (
            f"SELECT found.id FROM ({rows}) AS found WHERE {where}"  # noqa: S608  # from names in code
            f" ORDER BY found.key {direction}, found.id {direction} LIMIT %(limit)s"
        )
        return self._sort_and_limit(self._with_ids(ids), sort, [])

    def _with_ids(self, ids: str) -> Select:
        # For ANY (ARRAY(subquery)) the planner always estimates few rows, and uses the id's index.
        return self._query.where(Expression(self._id, "=", SQL(f"ANY (ARRAY({ids}))")))

    def _condition(self, name: str, sort: str) -> ColumnBase:
        condition = self._filters[name]
        if name in self._misestimated - self._sort_key(sort).bounds:
            return _hide(condition)
        return condition


def _count(rows: str, *, name: str) -> Statement[int]:
    """Return the statement that counts the rows of an SQL query."""
    return Statement(
        f"SELECT count(*) FROM ({rows}) AS counted",  # noqa: S608  # from names in code
        lambda columns: columns[0],
        prepared=False,
        name=name,
    )


def _hide(condition: ColumnBase) -> ColumnBase:
    """Hide a condition from the planner: PostgreSQL evaluates it for each row, without an index.

    `coalesce` also hides its selectivity, so that the row estimate is not far too low.
    """
    hidden: ColumnBase = fn.coalesce(condition, SQL("false"))
    return hidden
