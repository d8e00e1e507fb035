"""JSON lines, and the corpus of a BEIR folder, which is made of them."""

from __future__ import annotations

import base64
import datetime
import decimal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from llmaug.errors import OutputError
from llmaug.formats.lines import LineFile, invalid_utf8, numbered
from llmaug.formats.source import Fault, RawRow

DUMP = orjson.OPT_SERIALIZE_NUMPY
CORPUS = "corpus.jsonl"
DEEP = 200  # brackets in a line before it can be nested too deeply to be written again


class JsonLines(LineFile):
    """One JSON object a line; blank lines are not rows."""

    def rows(self) -> Iterator[RawRow]:
        loads = orjson.loads
        for number, line in numbered(self.path):
            if isinstance(line, Fault):
                yield number, line
                continue
            try:
                row = loads(line)
            except orjson.JSONDecodeError as error:
                if line.strip():
                    yield number, _broken(line, error)
                continue
            if type(row) is dict:
                deep = line.count(b"[") + line.count(b"{") > DEEP and _too_deep(row)
                yield (
                    number,
                    Fault("nested too deeply", "lists or objects stand too deeply in each other")
                    if deep
                    else row,
                )
            else:
                yield number, Fault("not an object", "the line is JSON but not an object {…}")


def _too_deep(row: dict[str, Any]) -> bool:
    """Whether the row could be read but not written again: a run puts it into rows of its own."""
    try:
        orjson.dumps([[[[[[[[row]]]]]]]])
    except TypeError:
        return True
    return False


def _broken(line: bytes, error: orjson.JSONDecodeError) -> Fault:
    try:
        line.decode()
    except UnicodeDecodeError as undecodable:
        return invalid_utf8(undecodable)
    return Fault("broken JSON", f"{error.msg} at column {error.pos + 1}")


class BeirCorpus(JsonLines):
    """The documents of a BEIR folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / CORPUS)


def write_json_lines(
    file: BinaryIO, rows: Iterable[Mapping[str, Any]], *, fields: Sequence[str]
) -> int:
    """One JSON object a line, each with its own fields whatever `fields` says."""
    count = 0
    for count, row in enumerate(rows, 1):
        file.write(dumped(row, number=count) + b"\n")
    return count


def write_beir(folder: Path, rows: Iterable[Mapping[str, Any]], *, fields: Sequence[str]) -> int:
    """`corpus.jsonl` with `_id`, `title` and `text`; every other field is under `metadata`."""
    with (folder / CORPUS).open("wb") as file:
        return write_json_lines(file, map(_document, rows), fields=fields)


def _document(row: Mapping[str, Any]) -> dict[str, Any]:
    named = ("id", "title", "text")
    rest = {name: value for name, value in row.items() if name not in named}
    if not rest.get("metadata", True):
        del rest["metadata"]
    return {
        "_id": row.get("id", ""),
        "title": row.get("title") or "",
        "text": row.get("text", ""),
        "metadata": rest,
    }


def dumped(row: Any, *, number: int) -> bytes:
    """A row as JSON; NaN and the infinities become null, as JSON has no word for them."""
    try:
        return orjson.dumps(row, plain, DUMP)
    except TypeError as error:
        where = row.get("id", "") if isinstance(row, Mapping) else ""
        raise OutputError(
            f"row {number} (id {where!r}) cannot be written as JSON: {error}"
        ) from None


def plain(value: Any) -> Any:
    """A value that JSON lacks as one that it has; undecodable bytes become `{"base64": …}`."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, decimal.Decimal | datetime.timedelta | Path):
        return str(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    raise TypeError(f"{type(value).__name__} is not a JSON value")
