"""Files of CSV (RFC 4180) in a request: read row by row, each judged by the document."""

from __future__ import annotations

import csv
import io
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from domain.csv_text import as_it_was
from domain.product_file import Line, LineFault
from orderly.contract.schemas import CompiledSchema

_LONGEST_CELL = 1 << 16
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
        text = io.TextIOWrapper(self._file, encoding="utf-8-sig", newline="")
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
                yield Line(number, {}, faults)
                return
            number = reader.line_num + 1
            for row in reader:
                if row:
                    yield self._judged(number, header, row)
                number = reader.line_num + 1
        except UnicodeDecodeError:
            yield Line(number, {}, (LineFault(number, None, "is not UTF-8 here or soon after"),))
        except csv.Error:
            yield Line(number, {}, (LineFault(number, None, "is not CSV: mind the quotes"),))

    def _faults_of_header(self, header: list[str]) -> tuple[LineFault, ...]:
        faults = [f"{name} is missing" for name in sorted(self._required - set(header))]
        if set(header) - self._columns:
            faults.append(f"the columns are {', '.join(sorted(self._columns))}")
        if len(set(header)) != len(header):
            faults.append("a column is there twice")
        return tuple(LineFault(1, None, f"header: {fault}") for fault in faults)

    def _judged(self, number: int, header: list[str], row: list[str]) -> Line:
        if len(row) != len(header):
            fault = f"must have {len(header)} cells, as the header"
            return Line(number, {}, (LineFault(number, None, fault),))
        cells = {
            name: as_it_was(cell).replace("\r\n", "\n")
            for name, cell in zip(header, row, strict=True)
            if cell or name not in self._optional
        }
        if self._schema.accepts(cells):
            return Line(number, cells)
        return Line(
            number,
            {},
            tuple(
                LineFault(number, str(one.path[0]) if one.path else None, one.message)
                for one in self._schema.violations(cells)[:_MOST_FAULTS_OF_A_LINE]
            ),
        )


csv.field_size_limit(_LONGEST_CELL)
