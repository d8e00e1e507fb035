"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llmaug.errors import TextError
from llmaug.formats import arrow
from llmaug.formats.source import RawRow

ROWS = 1_024  # rows in memory at once


class ParquetFile:
    """The rows of a Parquet file, a few at a time."""

    text_field = "text"
    lined = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._errors = (OSError, arrow.library().ArrowException)
        with self._opened() as file:
            self._columns = list(file.schema_arrow.names)
            self._count = int(file.metadata.num_rows)
        if len(set(self._columns)) < len(self._columns):
            raise TextError(f"{path}: two columns have the same name; rename one")

    def _opened(self) -> Any:
        import pyarrow.parquet

        try:
            return pyarrow.parquet.ParquetFile(self.path, pre_buffer=False)
        except self._errors as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: BaseException) -> TextError:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        return TextError(f"{self.path} cannot be read as Parquet: {reason}")

    def columns(self) -> Sequence[str]:
        return self._columns

    def rows(self) -> Iterator[RawRow]:
        done = 0
        with self._opened() as file:
            batches = file.iter_batches(batch_size=ROWS)
            while True:
                try:
                    batch = next(batches, None)
                except self._errors as error:
                    raise self._unreadable(error) from None
                if batch is None:
                    return
                yield from enumerate(arrow.rows_of(batch), done + 1)
                done += batch.num_rows

    def files(self) -> list[Path]:
        return [self.path]

    def row_estimate(self) -> int:
        return self._count


def write_parquet(path: Path, rows: Iterable[Mapping[str, Any]], *, fields: Sequence[str]) -> int:
    """One typed column for each field.

    Columns whose values agree (all numbers, all strings, all lists of one of those) get that
    type; the others hold JSON text, and are marked so that reading gives the values back.
    """
    arrow.library()
    import pyarrow.parquet

    with arrow.spooled(rows, fields=fields, beside=path) as spool:
        schema = spool.schema(marked=True)
        with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in spool.batches(schema):
                writer.write_batch(batch)
    return spool.count
