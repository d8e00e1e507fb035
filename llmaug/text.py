"""A text, and reading and writing files of texts in every format."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from llmaug.errors import TextError
from llmaug.formats import endings
from llmaug.formats.fields import id_in, lacking, short, text_fault
from llmaug.formats.seen import Seen
from llmaug.formats.source import Fault

EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Text:
    """One text: an input, or a variant made from one.

    `id` is unique in its file (a line number where the input has none); `root` is the id of the
    input that it descends from and equals `id` for an input; `made_by` says which steps made it
    (`str(step)@fingerprint`, joined by ` >> `), and is empty for an input; `meta` holds the
    other fields (label, title, score, …), carried through untouched.
    """

    text: str
    id: str
    root: str
    made_by: str = ""
    meta: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    def derive(self, text: str, *, made_by: str, id: str, **meta: Any) -> Text:
        """A variant of this text, of the same root, with `made_by` and `meta` added to its own."""
        return Text(
            text=text,
            id=id,
            root=self.root,
            made_by=f"{self.made_by} >> {made_by}" if self.made_by else made_by,
            meta={**self.meta, **meta} if meta else self.meta,
        )

    def with_meta(self, **meta: Any) -> Text:
        """The same text with more fields."""
        return replace(self, meta={**self.meta, **meta})


@dataclass(frozen=True, slots=True)
class BadRow:
    """An input row that could not be read: a counted failure, never a skipped row."""

    file: str
    line: int  # from 1; 0 where the format has no lines
    error: str  # a short kind: "invalid UTF-8", "broken JSON", "missing field", …
    message: str  # one line with file and line number
    id: str = ""


OWN = ("id", "root", "text", "made_by")  # the fields of our own rows, in this order
LOOKED_AT = 1_000  # rows at the head of a file, to learn its fields


def read(
    path: str | Path, *, text: str | None = None, id: str | None = None, limit: int | None = None
) -> TextFile:
    """The texts of a file: JSONL, CSV, TSV, plain text, Parquet, BEIR, TREC topics, Hugging Face.

    `text` names the field of the text (default `text`, for TREC topics `title`), `id` that of the
    id (default `id`, else `_id`, else the row's number); every other field is carried along as
    meta. `limit` is the number of rows to read. Raises `TextError` when the file cannot be read
    or has no such field; rows that cannot be read are `BadRow`s among its `rows()`.
    """
    return TextFile(path, text=text, id=id, limit=limit)


def write(path: str | Path, rows: Iterable[Mapping[str, Any]], *, fields: Sequence[str]) -> int:
    """Write flat rows (see `record`) to a file or folder and return how many there were.

    The name's ending says the format. `fields` are the columns in order; JSONL and BEIR rows
    bring their own. Whole or not at all: after an error (`OutputError` for a full disk, a missing
    folder, a value that the format cannot hold) an earlier output is as it was. A JSON format
    has null for NaN and the infinities, a table an empty cell for a missing field.
    """
    return endings.write_rows(Path(path), rows, fields=fields)


def check_output(path: str | Path) -> None:
    """Raise what `write` would certainly raise for this path, before any work is done."""
    endings.check_output(Path(path))


def record(text: Text) -> dict[str, Any]:
    """A text as one flat row: id, root, text, made_by, and its meta fields.

    A meta field with one of those names is written as `input_NAME`.
    """
    row = {"id": text.id, "root": text.root, "text": text.text, "made_by": text.made_by}
    for name, value in text.meta.items():
        if name in OWN:
            name = f"input_{name}"
            while name in text.meta:
                name = f"input_{name}"
        row[name] = value
    return row


class TextFile:
    """The rows of a file as texts, in its order; can be read any number of times.

    Iterating over it gives the texts and raises `TextError` at the first row that cannot be read.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        text: str | None = None,
        id: str | None = None,
        limit: int | None = None,
    ) -> None:
        self.path, self.text, self.id, self.limit = Path(path), text, id, limit
        self._source = endings.source(path)
        self._text_field = text or self._source.text_field
        columns = self._source.columns()
        if columns is not None:
            for name in (self._text_field, id):
                if name is not None and name not in columns:
                    raise TextError(f"{self._source.path}: {lacking(name, columns)}")

    def __iter__(self) -> Iterator[Text]:
        for row in self.rows():
            if isinstance(row, BadRow):
                raise TextError(row.message)
            yield row

    def rows(self) -> Iterator[Text | BadRow]:
        """Every row of the file, one item each, also those that cannot be read."""
        return itertools.islice(self._rows(), self.limit)

    def fields(self) -> frozenset[str]:
        """The meta fields: those of the header, else of the first row that can be read.

        Raises `TextError` when the rows at the head of the file all lack the text's field.
        """
        columns = self._source.columns()
        if columns is not None:
            return frozenset(columns) - {self._text_field, self._id_field(columns)}
        bad = []
        for row in itertools.islice(self.rows(), LOOKED_AT):
            if isinstance(row, Text):
                return frozenset(row.meta)
            bad.append(row)
        if bad and all(row.error == "missing field" for row in bad):
            raise TextError(f"{bad[0].message} (so it is in the first {len(bad):,} rows)")
        return frozenset()

    def fingerprint(self) -> str:
        """SHA-256 over the content that decides the rows, as 64 hex digits."""
        digest = hashlib.sha256()
        files = sorted(self._source.files())
        for file in files:
            try:
                with file.open("rb") as content:
                    mark = hashlib.file_digest(content, "sha256")
            except OSError as error:
                raise TextError(f"{file} cannot be read: {error.strerror}") from None
            if len(files) == 1:
                return mark.hexdigest()
            digest.update(f"{mark.hexdigest()} {file.name}\n".encode())
        return digest.hexdigest()

    def row_estimate(self) -> int | None:
        """About how many rows there are, without reading them all; None where only that tells."""
        rows = self._source.row_estimate()
        return rows if rows is None or self.limit is None else min(rows, self.limit)

    def _id_field(self, names: Iterable[str]) -> str | None:
        if self.id is not None:
            return self.id
        return next(
            (name for name in ("id", "_id") if name in names and name != self._text_field), None
        )

    def _rows(self) -> Iterator[Text | BadRow]:
        id_field, decided = self.id, self.id is not None
        with Seen(self._source.path) as seen:
            for place, row in self._source.rows():
                if isinstance(row, Fault):
                    yield self._bad(place, row)
                    continue
                if not decided:
                    # By the first row for all: a later one that lacks it is a bad row, not a
                    # row whose number might be the id of another.
                    id_field, decided = self._id_field(row), True
                yield self._text_in(row, place, id_field=id_field, seen=seen)

    def _text_in(
        self, row: dict[str, Any], place: int, *, id_field: str | None, seen: Seen
    ) -> Text | BadRow:
        id = str(place) if id_field is None else id_in(row, id_field)
        text = row.get(self._text_field)
        if type(text) is not str or not text.strip():
            return self._bad(
                place, text_fault(row, self._text_field), id=id if isinstance(id, str) else ""
            )
        if isinstance(id, Fault):
            return self._bad(place, id)
        if id_field is not None:
            if earlier := seen.before(id, place):
                where = f"{'line' if self._source.lined else 'row'} {earlier}"
                return self._bad(
                    place,
                    Fault("duplicate id", f"the id {short(id)!r} is also that of {where}"),
                    id=id,
                )
            row.pop(id_field, None)
        row.pop(self._text_field, None)
        return Text(text, id, id, "", row)

    def _bad(self, place: int, fault: Fault, *, id: str = "") -> BadRow:
        path = str(self._source.path)
        if not self._source.lined:
            return BadRow(path, 0, fault.error, f"{path}: row {place}: {fault.detail}", id)
        return BadRow(path, place, fault.error, f"{path}:{place}: {fault.detail}", id)
