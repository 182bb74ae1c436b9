"""CSV files (RFC 4180) in request bodies: each row is parsed and checked during iteration."""

from __future__ import annotations

import csv
import io
import re
import weakref
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, BinaryIO, cast

from domain.csv_text import unescape_formula
from domain.product_file import Line, LineFault
from orderly.contract.references import resolve
from orderly.contract.schemas import CompiledSchema, Violation

_MAX_CELL_CHARACTERS = 1 << 16
# The csv module parses a record in one call without releasing the interpreter lock (GIL): for 12
# million commas, all other threads wait for half a second.
_MAX_RECORD_CHARACTERS = 1 << 18
# Each read of a file releases the GIL for some microseconds. CPython then restarts the switch
# interval of 5 ms (`sys.setswitchinterval`), after which a waiting thread gets the lock. So with
# many small reads the event loop would wait much longer than 5 ms.
_READ_BYTES = 1 << 18
_CELL_TOO_LONG = f"has a cell of more than {_MAX_CELL_CHARACTERS} characters"
_RECORD_TOO_LONG = f"has more than {_MAX_RECORD_CHARACTERS} characters"
_NOT_UTF8 = "is not UTF-8"
# In countries where the comma is the decimal separator, spreadsheet programs use these to separate
# cells.
_OTHER_SEPARATORS = frozenset(";\t")
_WRONG_SEPARATOR = "header: cells must be separated by commas"
_SURROGATES = re.compile("[\udc80-\udcff]")
_MAX_FAULTS_OF_A_LINE = 10


class RecordTooLongError(csv.Error):
    """A record has more than 262,144 characters."""


class CsvRows:
    """The rows of a file; each iteration reads the file from its beginning.

    The file is closed when this object is deleted.
    """

    def __init__(self, plan: CsvPlan, file: BinaryIO) -> None:
        self._plan = plan
        self._file = file
        weakref.finalize(self, file.close)

    def __iter__(self) -> Iterator[Line]:
        self._file.seek(0)
        # surrogateescape: bytes that are not UTF-8 become a fault of their own line, instead of an
        # exception that ends the iteration.
        buffered = io.BufferedReader(cast(io.RawIOBase, self._file), _READ_BYTES)
        text = io.TextIOWrapper(
            buffered, encoding="utf-8-sig", errors="surrogateescape", newline=""
        )
        try:
            yield from self._plan.lines(text)
        finally:
            text.detach()
            buffered.detach()


class CsvPlan:
    """Parses the rows of a file, and validates each with a schema; all cells are strings.

    Rows after the first `max_rows` are not read. None means no limit.
    """

    def __init__(self, schema: Mapping[str, Any], *, max_rows: int | None = None) -> None:
        self._schema = CompiledSchema(schema)
        self._max_rows = max_rows
        self._columns = set(schema["properties"])
        self._required = set(schema["required"])
        # An empty cell of these columns counts as missing. An empty description is a valid value.
        self._empty_is_missing = self._columns - self._required - {"description"}
        self._descriptions = {
            name: _pattern_description(schema, column)
            for name, column in schema["properties"].items()
        }

    def rows(self, file: BinaryIO) -> CsvRows:
        """Return the rows of a file, which can be iterated several times."""
        return CsvRows(self, file)

    def lines(self, text: io.TextIOBase) -> Iterator[Line]:
        """Yield the lines of a file, each with its faults.

        If the file cannot be parsed to its end, the last line has a fault that says so.
        """
        reader = _RecordReader(text)
        number = 1
        try:
            header = next(reader, list[str]())
            faults = self._check_header(header)
            if faults:
                yield Line(number, {}, faults, is_last_readable=True)
                return
            number = reader.line_num + 1
            for row in islice(reader, self._max_rows):
                if row:
                    yield self._check_row(number, header, row)
                number = reader.line_num + 1
            if next(reader, None) is not None:
                fault = f"the file has more than {self._max_rows} rows: split it"
                yield Line(number, {}, (LineFault(number, None, fault),), is_last_readable=True)
        except csv.Error as error:
            message = f"{_description(error)}; the rest of the file was not read"
            faults = (LineFault(number, None, message),)
            yield Line(number, {}, faults, is_last_readable=True)

    def _check_header(self, header: list[str]) -> tuple[LineFault, ...]:
        if not all(map(_is_utf8, header)):
            return (LineFault(1, None, f"header: {_NOT_UTF8}"),)
        if len(header) == 1 and _OTHER_SEPARATORS & set(header[0]):
            return (LineFault(1, None, _WRONG_SEPARATOR),)
        faults = [f"{name} is missing" for name in sorted(self._required - set(header))]
        unknown = [name for name in header if name not in self._columns]
        if unknown:
            known = ", ".join(sorted(self._columns))
            faults.append(f"column {header.index(unknown[0]) + 1} must be one of {known}")
        if len(set(header)) != len(header):
            faults.append("a column occurs twice")
        return tuple(LineFault(1, None, f"header: {fault}") for fault in faults)

    def _check_row(self, number: int, header: list[str], row: list[str]) -> Line:
        if len(row) != len(header):
            fault = f"must have {len(header)} cells, like the header"
            return Line(number, {}, (LineFault(number, None, fault),))
        undecodable = [name for name, cell in zip(header, row, strict=True) if not _is_utf8(cell)]
        if undecodable:
            faults = tuple(LineFault(number, name, _NOT_UTF8) for name in undecodable)
            return Line(number, {}, faults)
        cells = {
            name: unescape_formula(cell).replace("\r\n", "\n")
            for name, cell in zip(header, row, strict=True)
            if cell or name not in self._empty_is_missing
        }
        if self._schema.accepts(cells):
            return Line(number, cells)
        violations = self._schema.violations(cells)[:_MAX_FAULTS_OF_A_LINE]
        return Line(number, {}, tuple(self._fault(number, one) for one in violations))

    def _fault(self, number: int, violation: Violation) -> LineFault:
        column = str(violation.path[0]) if violation.path else None
        description = self._descriptions.get(column or "")
        if violation.code == "pattern" and description:
            # People who edit spreadsheets do not read regular expressions.
            return LineFault(number, column, f"must be this: {description}")
        return LineFault(number, column, violation.message)


class _RecordReader:
    """Parses the records of a text, each of at most `_MAX_RECORD_CHARACTERS` characters.

    A record has several lines if a quoted cell contains newlines. Iteration raises
    `RecordTooLongError` if a record is longer, and `csv.Error` if it cannot be parsed.
    """

    def __init__(self, text: io.TextIOBase) -> None:
        self._text = text
        self._remaining_characters = 0
        self._reader = csv.reader(self._lines(), strict=True)

    @property
    def line_num(self) -> int:
        """The number of lines that have been read."""
        return self._reader.line_num

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        self._remaining_characters = _MAX_RECORD_CHARACTERS
        return next(self._reader)

    def _lines(self) -> Iterator[str]:
        while line := self._text.readline(self._remaining_characters + 1):
            self._remaining_characters -= len(line)
            if self._remaining_characters < 0:
                raise RecordTooLongError
            yield line


def _description(error: csv.Error) -> str:
    if isinstance(error, RecordTooLongError):
        return _RECORD_TOO_LONG
    if str(error).startswith("field larger than field limit"):
        return _CELL_TOO_LONG
    return "is not CSV: check the quotes"


def _pattern_description(schema: Mapping[str, Any], column: Mapping[str, Any]) -> str | None:
    """Return the description of the schema in which a column's pattern is defined."""
    column = resolve(schema, column)
    if "pattern" in column:
        return column.get("description")
    parts = (_pattern_description(schema, part) for part in column.get("allOf", ()))
    return next(filter(None, parts), None)


def _is_utf8(cell: str) -> bool:
    """Return whether a cell was valid UTF-8; surrogateescape maps invalid bytes to surrogates."""
    return cell.isascii() or not _SURROGATES.search(cell)


csv.field_size_limit(_MAX_CELL_CHARACTERS)
