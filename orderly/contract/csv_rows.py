"""Files of CSV (RFC 4180) in a request: read row by row, each judged by the document."""

from __future__ import annotations

import csv
import io
import re
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from domain.csv_text import unescape
from domain.product_file import Line, LineFault
from orderly.contract.schemas import CompiledSchema, Violation

_LONGEST_CELL = 1 << 16
_TOO_LONG = f"has a cell of more than {_LONGEST_CELL} characters"
_NO_TEXT = "is not UTF-8"
# What spreadsheets put between cells where a comma is that of decimals.
_OTHER_SEPARATORS = frozenset(";\t")
_NO_COMMAS = "header: cells must be separated by commas"
_SURROGATES = re.compile("[\udc80-\udcff]")
_MOST_FAULTS_OF_A_LINE = 10


class CsvRows:
    """The rows of a file; each pass over them reads the file from its beginning.

    The file is closed with the last reference to them, whether they were read or not.
    """

    def __init__(self, plan: CsvPlan, file: BinaryIO) -> None:
        self._plan = plan
        self._file = file
        weakref.finalize(self, file.close)

    def __iter__(self) -> Iterator[Line]:
        self._file.seek(0)
        # Bytes that are no text are told of with the line that has them, so none fails to be read.
        text = io.TextIOWrapper(
            self._file, encoding="utf-8-sig", errors="surrogateescape", newline=""
        )
        try:
            yield from self._plan.lines(text)
        finally:
            text.detach()


class CsvPlan:
    """How the rows of a file are read and judged, by the schema of a row."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = CompiledSchema(schema)
        self._columns = set(schema["properties"])
        self._required = set(schema["required"])
        # An empty cell is an empty text where that will do, and says nothing where it will not.
        self._optional = {name for name in self._columns - self._required if name != "description"}
        self._forms = {
            name: _form(column, schema.get("components", {}).get("schemas", {}))
            for name, column in schema["properties"].items()
        }

    def rows(self, file: BinaryIO) -> CsvRows:
        """Return the rows of a file that can be read again."""
        return CsvRows(self, file)

    def lines(self, text: io.TextIOBase) -> Iterator[Line]:
        """Judge row by row. A file that cannot be read on ends with a fault that says so."""
        reader = csv.reader(text, strict=True)
        number = 1
        try:
            header = next(reader, [])
            faults = self._faults_of_header(header)
            if faults:
                yield Line(number, {}, faults, is_last_readable=True)
                return
            number = reader.line_num + 1
            for row in reader:
                if row:
                    yield self._judged(number, header, row)
                number = reader.line_num + 1
        except csv.Error as error:
            is_long = str(error).startswith("field larger than field limit")
            fault = _TOO_LONG if is_long else "is not CSV: mind the quotes"
            faults = (LineFault(number, None, f"{fault}; nothing after it was read"),)
            yield Line(number, {}, faults, is_last_readable=True)

    def _faults_of_header(self, header: list[str]) -> tuple[LineFault, ...]:
        if not all(map(_is_text, header)):
            return (LineFault(1, None, f"header: {_NO_TEXT}"),)
        if len(header) == 1 and _OTHER_SEPARATORS & set(header[0]):
            return (LineFault(1, None, _NO_COMMAS),)
        faults = [f"{name} is missing" for name in sorted(self._required - set(header))]
        unknown = [name for name in header if name not in self._columns]
        if unknown:
            known = ", ".join(sorted(self._columns))
            faults.append(f"column {header.index(unknown[0]) + 1} is none of {known}")
        if len(set(header)) != len(header):
            faults.append("a column is there twice")
        return tuple(LineFault(1, None, f"header: {fault}") for fault in faults)

    def _judged(self, number: int, header: list[str], row: list[str]) -> Line:
        if len(row) != len(header):
            fault = f"must have {len(header)} cells, as the header"
            return Line(number, {}, (LineFault(number, None, fault),))
        garbled = [name for name, cell in zip(header, row, strict=True) if not _is_text(cell)]
        if garbled:
            return Line(number, {}, tuple(LineFault(number, name, _NO_TEXT) for name in garbled))
        cells = {
            name: unescape(cell).replace("\r\n", "\n")
            for name, cell in zip(header, row, strict=True)
            if cell or name not in self._optional
        }
        if self._schema.accepts(cells):
            return Line(number, cells)
        violations = self._schema.violations(cells)[:_MOST_FAULTS_OF_A_LINE]
        return Line(number, {}, tuple(self._fault(number, one) for one in violations))

    def _fault(self, number: int, violation: Violation) -> LineFault:
        column = str(violation.path[0]) if violation.path else None
        # Whoever keeps a spreadsheet is not told a pattern, but what it stands for.
        form = self._forms.get(column or "") if violation.code == "pattern" else None
        return LineFault(number, column, f"must be this: {form}" if form else violation.message)


def _form(column: Mapping[str, Any], schemas: Mapping[str, Any]) -> str | None:
    """Return how the document describes, in words, what the pattern of a column stands for."""
    if "$ref" in column:
        return _form(schemas[column["$ref"].rpartition("/")[2]], schemas)
    if "pattern" in column:
        return column.get("description")
    return next(filter(None, (_form(one, schemas) for one in column.get("allOf", ()))), None)


def _is_text(cell: str) -> bool:
    """Tell whether a cell was UTF-8: bytes that were not have become halves of surrogate pairs."""
    return cell.isascii() or not _SURROGATES.search(cell)


csv.field_size_limit(_LONGEST_CELL)
