"""Rows as Arrow columns: how Parquet and Hugging Face datasets hold them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import orjson

from llmaug.errors import MissingExtra
from llmaug.formats.jsonl import dumped, plain
from llmaug.formats.source import Fault
from llmaug.formats.table import unknown_field

EXACT = 2**53  # whole numbers up to here are exact as floats
ROWS, SIZE = 10_000, 16 * 2**20  # rows and bytes of JSON in one batch, at most
JSON_MARK = {b"llmaug": b"json"}  # on a column whose cells are JSON text of any kind
SCALARS = ("null", "bool", "int", "long", "float", "string")


def library() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise MissingExtra("pyarrow", "parquet") from None
    return pyarrow


def rows_of(batch: Any) -> Sequence[dict[str, Any] | Fault]:
    """The rows of a record batch or table, as JSON values."""
    try:
        return _json_rows(batch)
    except _bad_values():
        # Some value in it cannot be read: find out in which rows.
        return [_row_or_fault(batch.slice(row, 1)) for row in range(batch.num_rows)]


def _row_or_fault(batch: Any) -> dict[str, Any] | Fault:
    try:
        (row,) = _json_rows(batch)
        return row
    except UnicodeDecodeError:
        return Fault("invalid UTF-8", "a string in the row is not UTF-8")
    except _bad_values() as error:
        return Fault("unreadable value", " ".join(str(error).split())[:200])


def _bad_values() -> tuple[type[BaseException], ...]:
    return (ValueError, OverflowError, library().ArrowException)


def _json_rows(batch: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = batch.to_pylist()
    for field in batch.schema:
        marked = (field.metadata or {}).get(b"llmaug") == b"json"
        if marked or getattr(field.type, "extension_name", "") == "arrow.json":
            for row in rows:
                if isinstance(row[field.name], str):
                    row[field.name] = orjson.loads(row[field.name])
        elif not _is_json(field.type):
            for row in rows:
                row[field.name] = _plain(row[field.name])
    return rows


def _is_json(kind: Any) -> bool:
    """Whether the values of a type are JSON values as they are."""
    types = library().types
    if types.is_list(kind) or types.is_large_list(kind):
        return _is_json(kind.value_type)
    tests = (
        types.is_string,
        types.is_large_string,
        types.is_integer,
        types.is_floating,
        types.is_boolean,
        types.is_null,
    )
    return any(test(kind) for test in tests)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return plain(value)


class Spool:
    """Rows put aside in a file without a name until the types of their columns are known."""

    def __init__(self, file: IO[bytes], fields: Sequence[str]) -> None:
        self._file, self.fields = file, list(fields)
        self.kinds = ["null"] * len(fields)
        self.count = 0

    def fill(self, rows: Iterable[Mapping[str, Any]]) -> None:
        known, kinds = frozenset(self.fields), self.kinds
        for self.count, row in enumerate(rows, 1):
            if not known.issuperset(row):
                raise unknown_field(row, known, number=self.count)
            cells = [row.get(name) for name in self.fields]
            try:
                line = orjson.dumps(cells, plain, orjson.OPT_SERIALIZE_NUMPY)
            except TypeError:
                line = dumped(row, number=self.count)  # says which row it is
            self._file.write(line + b"\n")
            for column, cell in enumerate(cells):
                kinds[column] = joined(kinds[column], kind_of(cell))

    def schema(self, *, marked: bool) -> Any:
        """The columns' types; `marked` says on those of JSON text that they are such."""
        pa = library()
        return pa.schema(
            [
                pa.field(
                    name,
                    _arrow_type(kind),
                    metadata=JSON_MARK if kind == "json" and marked else None,
                )
                for name, kind in zip(self.fields, self.kinds, strict=True)
            ]
        )

    def batches(self, schema: Any) -> Iterator[Any]:
        """The rows as record batches."""
        self._file.seek(0)
        lines: list[bytes] = []
        size = 0
        for line in self._file:
            lines.append(line)
            size += len(line)
            if len(lines) == ROWS or size >= SIZE:
                yield self._batch(lines, schema)
                lines, size = [], 0
        if lines:
            yield self._batch(lines, schema)

    def _batch(self, lines: list[bytes], schema: Any) -> Any:
        pa = library()
        columns = zip(*map(orjson.loads, lines), strict=True)
        arrays = []
        for field, kind, cells in zip(schema, self.kinds, columns, strict=True):
            if kind == "json":
                cells = tuple(
                    None if cell is None else orjson.dumps(cell).decode() for cell in cells
                )
            arrays.append(pa.array(cells, type=field.type))
        return pa.record_batch(arrays, schema=schema)


@contextlib.contextmanager
def spooled(
    rows: Iterable[Mapping[str, Any]], *, fields: Sequence[str], beside: Path
) -> Iterator[Spool]:
    """All rows in a spool on the disk of `beside`, where there must be room for them anyway."""
    with tempfile.TemporaryFile(dir=beside.parent) as file:
        spool = Spool(file, fields)
        spool.fill(rows)
        yield spool


def kind_of(value: Any) -> str:
    """The kind of column that can hold a value; "long" is a number that floats cannot hold."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        if abs(value) <= EXACT:
            return "int"
        return "long" if -(2**63) <= value < 2**63 else "json"
    if isinstance(value, float):
        return "float"
    if isinstance(value, list | tuple):
        inner = "null"
        for item in value:
            inner = joined(inner, kind_of(item))
        return f"list of {inner}" if inner in SCALARS else "json"
    if isinstance(value, Mapping):
        return "json"
    return kind_of(orjson.loads(orjson.dumps(value, plain, orjson.OPT_SERIALIZE_NUMPY)))


def joined(one: str, other: str) -> str:
    """The kind that holds the values of both without loss; JSON text holds everything."""
    if one == other or other == "null":
        return one
    if one == "null":
        return other
    lists = [kind.removeprefix("list of ") for kind in (one, other) if kind.startswith("list of ")]
    if len(lists) == 2:
        inner = joined(*lists)
        return f"list of {inner}" if inner in SCALARS else "json"
    return {frozenset({"int", "float"}): "float", frozenset({"int", "long"}): "long"}.get(
        frozenset({one, other}), "json"
    )


def _arrow_type(kind: str) -> Any:
    pa = library()
    if kind.startswith("list of "):
        return pa.list_(_arrow_type(kind.removeprefix("list of ")))
    return {
        "null": pa.null(),
        "bool": pa.bool_(),
        "int": pa.int64(),
        "long": pa.int64(),
        "float": pa.float64(),
        "string": pa.string(),
        "json": pa.string(),
    }[kind]
