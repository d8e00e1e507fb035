"""CSV and TSV with a header line."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from llmaug.errors import OutputError, TextError
from llmaug.formats.jsonl import dumped
from llmaug.formats.lines import LineFile, invalid_utf8, numbered
from llmaug.formats.source import Fault, RawRow

LONGEST_FIELD = 16 * 2**20  # characters; the limit of Python's csv is 131,072
COMMA, TAB = ",", "\t"


class Table(LineFile):
    """Rows of cells under a header, quoted as in RFC 4180; a quoted cell may span lines.

    Where quoting goes wrong, the line on which the row starts is the one that cannot be read, and
    reading goes on at the next: an open quote never swallows the rows after it unnoticed.
    """

    def __init__(self, path: Path, *, delimiter: str = COMMA) -> None:
        super().__init__(path)
        self.delimiter = delimiter
        self._columns = self._header()

    def columns(self) -> Sequence[str]:
        return self._columns

    def row_estimate(self) -> int | None:
        lines = super().row_estimate()
        return None if lines is None else max(0, lines - 1)

    def _header(self) -> list[str]:
        for _, cells in self._cells():
            if isinstance(cells, Fault):
                raise TextError(f"{self.path}: the header cannot be read: {cells.detail}")
            for name in cells:
                if cells.count(name) > 1:
                    raise TextError(
                        f"{self.path}: the column {name!r} stands twice in the header; rename one"
                    )
            return cells
        raise TextError(f"{self.path} is empty: it has no header")

    def rows(self) -> Iterator[RawRow]:
        columns, rows = self._columns, self._cells()
        next(rows, None)
        for line, cells in rows:
            if isinstance(cells, Fault):
                yield line, cells
            elif len(cells) != len(columns):
                yield (
                    line,
                    Fault(
                        "wrong number of columns",
                        f"{len(cells)} columns where the header has {len(columns)}",
                    ),
                )
            else:
                yield line, dict(zip(columns, cells, strict=True))

    def _cells(self) -> Iterator[tuple[int, list[str] | Fault]]:
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
        lines = _Lines(numbered(self.path))
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        while True:
            lines.taken.clear()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield lines.taken[0].number, _fault(lines.taken[0], error)
                lines.give_back()
                continue
            number, line, fault = lines.taken[0]
            if len(lines.taken) > 1:
                fault = next((taken.fault for taken in lines.taken if taken.fault), None)
            if fault:
                yield number, fault
            elif line.strip(" \r\n"):
                yield number, cells


def _fault(line: _Line, error: csv.Error) -> Fault:
    if line.fault:
        return line.fault
    if "field limit" in str(error):
        return Fault(
            "over-long field",
            f"a field has more than {LONGEST_FIELD:,} characters; a quote may be left open",
        )
    return Fault(
        "broken quoting",
        f"{error}; a field that begins with a quote must end with one, "
        "and quotes inside it are doubled",
    )


class _Line(NamedTuple):
    number: int
    line: str
    fault: Fault | None


class _Lines:
    """The lines that the CSV reader takes for one row, so that they can be given back."""

    def __init__(self, lines: Iterator[tuple[int, bytes | Fault]]) -> None:
        self._lines = lines
        self._again: deque[_Line] = deque()
        self.taken: list[_Line] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else _decoded(*next(self._lines))
        self.taken.append(line)
        return line.line

    def give_back(self) -> None:
        """Read the lines after the first once more, as rows of their own."""
        self._again.extendleft(reversed(self.taken[1:]))


def _decoded(number: int, line: bytes | Fault) -> _Line:
    if isinstance(line, Fault):
        return _Line(number, "(too long)\n", line)
    fault = Fault("NUL byte", "the row holds a NUL byte") if b"\0" in line else None
    try:
        return _Line(number, line.decode(), fault)
    except UnicodeDecodeError as error:
        return _Line(number, line.decode(errors="replace"), invalid_utf8(error))


def write_table(
    file: BinaryIO,
    rows: Iterable[Mapping[str, Any]],
    *,
    fields: Sequence[str],
    delimiter: str = COMMA,
) -> int:
    """A header and a line for each row; values that are not strings are written as JSON.

    A missing field and None are an empty cell. Raises `OutputError` for a field that is not one
    of `fields` and for what the format cannot hold (a NUL character).
    """
    # The writer quotes whatever holds a character of its line end, so "\r\n" quotes both.
    line = _OneLine()
    writer = csv.writer(line, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(fields)
    file.write(line.encoded(0))
    known, count = frozenset(fields), 0
    for count, row in enumerate(rows, 1):
        if not known.issuperset(row):
            raise unknown_field(row, known, number=count)
        writer.writerow([_cell(row.get(name), count) for name in fields])
        file.write(line.encoded(count))
    return count


def _cell(value: Any, number: int) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else dumped(value, number=number).decode()


def unknown_field(row: Mapping[str, Any], known: frozenset[str], *, number: int) -> OutputError:
    name = next(name for name in row if name not in known)
    return OutputError(f"row {number} has the field {name!r}, which is not among the columns")


class _OneLine:
    """Where the CSV writer puts a row."""

    def write(self, line: str) -> None:
        self._line = line

    def encoded(self, number: int) -> bytes:
        line = self._line.removesuffix("\r\n") + "\n"
        if "\0" in line:
            raise OutputError(
                f"row {number} holds a NUL character, which CSV and TSV cannot; "
                "write .jsonl or .parquet instead"
            )
        try:
            return line.encode()
        except UnicodeEncodeError:
            raise OutputError(
                f"row {number} holds half a surrogate pair, which is not a character; remove it"
            ) from None
