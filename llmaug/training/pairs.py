"""Training pairs: a query and a document that answers it, by their ids."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from llmaug.errors import TextError
from llmaug.formats.atomic import new_file
from llmaug.formats.fields import short
from llmaug.retrieval.collection import Collection

ORIGINS = ("human", "synthetic")


@dataclass(frozen=True, slots=True)
class Pair:
    """A query with one document that answers it.

    `origin` says who wrote the query, `made_by` by which plan. `score` is what a generator or a
    filter thought of the pair; higher is better.
    """

    query_id: str
    query: str
    document_id: str
    origin: str = "synthetic"
    made_by: str = ""
    score: float | None = None


def pairs_of(collection: Collection, *, origin: str = "human") -> list[Pair]:
    """The pairs that the judgements of a collection name: each query with what answers it.

    In the order of the judgements. A judged query that the collection does not hold has no text
    and is left out; `Collection.check` counts those.
    """
    return [
        Pair(query_id, collection.queries[query_id], document_id, origin)
        for query_id, judged in collection.qrels.items()
        if query_id in collection.queries
        for document_id, grade in judged.items()
        if grade > 0
    ]


def write_pairs(path: str | Path, pairs: Iterable[Pair]) -> int:
    """Write pairs as JSONL, one object a line with the fields of `Pair`; how many there were."""
    count = 0
    with new_file(Path(path)) as unfinished, unfinished.open("wb") as out:
        for pair in pairs:
            out.write(orjson.dumps(asdict(pair)) + b"\n")
            count += 1
    return count


def read_pairs(path: str | Path) -> list[Pair]:
    """The pairs of a JSONL file; raises `TextError` with file and line for what is none."""
    return [checked_pair(row, where=where) for where, row in json_rows(Path(path), what="pair")]


def json_rows(path: Path, *, what: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSONL file, each with its file and line; `what` they are, for errors."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    where = f"{path}:{number}"
                    yield where, _row(line, where=where, what=what)
    except OSError as error:
        raise TextError(f"{path} cannot be read: {error.strerror}") from None


def _row(line: bytes, *, where: str, what: str) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise TextError(f"{where}: not JSON: {error}") from None
    if not isinstance(row, dict):
        raise TextError(f"{where}: a {what} is a JSON object, not {short(repr(row))}")
    return row


def checked_pair(row: dict[str, Any], *, where: str) -> Pair:
    """The pair that the fields of a row hold; others than those of `Pair` are not looked at."""
    for name in ("query_id", "query", "document_id"):
        if not isinstance(row.get(name), str) or not row[name]:
            raise TextError(
                f"{where}: {name!r} is {short(repr(row.get(name)))}; a pair names its query's id "
                "and text and its document's id, as strings"
            )
    origin, score = row.get("origin", "synthetic"), row.get("score")
    if origin not in ORIGINS:
        raise TextError(f"{where}: 'origin' is {short(repr(origin))}; it is human or synthetic")
    if score is not None and (
        isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score)
    ):
        raise TextError(f"{where}: 'score' is {short(repr(score))}, not a number")
    made_by = row.get("made_by", "")
    if not isinstance(made_by, str):
        raise TextError(f"{where}: 'made_by' is {short(repr(made_by))}, not a string")
    return Pair(row["query_id"], row["query"], row["document_id"], origin, made_by, score)
