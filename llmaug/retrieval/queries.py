"""Queries by their ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llmaug.errors import OutputError, TextError
from llmaug.formats import endings
from llmaug.formats.fields import lacking, short, text_fault
from llmaug.formats.huggingface import is_dataset
from llmaug.formats.jsonl import JsonLines
from llmaug.formats.lines import LineFile, PlainText, invalid_utf8, numbered
from llmaug.formats.source import Fault, RawRow, Source
from llmaug.retrieval.documents import existing, usable_id, wrong

ID_FIELDS = ("_id", "id", "qid", "query_id", "query-id")
TEXT_FIELDS = ("text", "query", "title", "question")
QUERIES = "queries.jsonl"


def read_queries(path: str | Path) -> dict[str, str]:
    """The queries of a file, or of a BEIR folder, in the order of the file.

    JSONL, CSV and Parquet have the fields of `ID_FIELDS` and `TEXT_FIELDS`; TSV is `id<TAB>text`
    with or without a header; of TREC topics the title is read; of plain text each line, whose
    number is the id. Raises `TextError` for a row that cannot be read, an empty text, an id that
    came before or holds white space, and when there are no queries.
    """
    return queries_of(_source(Path(path)))


def write_queries(path: str | Path, queries: Mapping[str, str]) -> int:
    """Write queries as JSON lines of `_id` and `text`, whole or not at all; how many there were."""
    path = Path(path)
    if endings.ending(path) not in (".jsonl", ".ndjson"):
        raise OutputError(f"{path}: queries are written as JSON lines; end the name with .jsonl")
    rows = ({"_id": id, "text": text} for id, text in queries.items())
    return endings.write_rows(path, rows, fields=("_id", "text"))


def queries_of(source: Source) -> dict[str, str]:
    """The queries among the rows; the first one decides which fields hold the id and the text."""
    queries: dict[str, str] = {}
    places: dict[str, int] = {}
    text_field = id_field = ""
    for place, row in source.rows():
        if isinstance(row, Fault):
            raise wrong(source, place, row.detail)
        if not text_field:
            text_field = _field(TEXT_FIELDS, row, what="text", where=(source, place))
            if not isinstance(source, PlainText):
                id_field = _field(ID_FIELDS, row, what="id", where=(source, place))
        id = usable_id(row, id_field) if id_field else str(place)
        if isinstance(id, Fault):
            raise wrong(source, place, id.detail)
        text = row.get(text_field)
        if not isinstance(text, str) or not text.strip():
            raise wrong(source, place, text_fault(row, text_field).detail)
        if id in queries:
            raise wrong(
                source,
                place,
                f"the id {short(id)!r} is also that of "
                f"{'line' if source.lined else 'row'} {places[id]}; "
                "the ids of queries must be unique",
            )
        queries[id], places[id] = text, place
    if not queries:
        raise TextError(f"{source.path} holds no queries")
    return queries


class Tabbed(LineFile):
    """Lines of `id<TAB>text` without a header; quotes are characters like any other."""

    def rows(self) -> Iterator[RawRow]:
        for number, line in numbered(self.path):
            if isinstance(line, Fault):
                yield number, line
                continue
            try:
                cells = line.decode().removesuffix("\n").removesuffix("\r").split("\t")
            except UnicodeDecodeError as error:
                yield number, invalid_utf8(error)
                continue
            if cells == [""]:
                continue
            if len(cells) == 2:
                yield number, {"_id": cells[0], "text": cells[1]}
                continue
            yield (
                number,
                Fault("wrong number of columns", f"{len(cells)} columns, not id<TAB>text"),
            )


def _field(
    names: tuple[str, ...], row: dict[str, Any], *, what: str, where: tuple[Source, int]
) -> str:
    found = next((name for name in names if name in row), None)
    if found is None:
        raise wrong(
            *where, f"{lacking(names[0], row)}; the {what} of a query is in {', '.join(names)}"
        )
    return found


def _source(path: Path) -> Source:
    if path.is_dir() and not is_dataset(path):
        for name in (QUERIES, f"{QUERIES}.gz"):
            if (path / name).is_file():
                return JsonLines(path / name)
        raise TextError(f"the folder {path} has no {QUERIES}; name a file of queries")
    existing(path)
    if endings.ending(path) == ".tsv" and not _has_header(path):
        return Tabbed(path)
    return endings.source(path)


def _has_header(path: Path) -> bool:
    for _, line in numbered(path):
        cells = [] if isinstance(line, Fault) else line.decode(errors="replace").split("\t")
        named = {cell.strip().strip('"') for cell in cells}
        return not named.isdisjoint(ID_FIELDS) and not named.isdisjoint(TEXT_FIELDS)
    return False
