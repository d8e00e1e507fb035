"""What was written for queries: making it, keeping it in a file, reading it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmaug.errors import OutputError
from llmaug.formats import endings
from llmaug.formats.fields import kind, lacking, short
from llmaug.formats.source import Fault, Source
from llmaug.outcome import Failure
from llmaug.plan import Step
from llmaug.request import Backend, Embedder, Retriever
from llmaug.retrieval.documents import existing, usable_id, wrong
from llmaug.retrieval.queries import ID_FIELDS
from llmaug.stream import augment
from llmaug.text import Text

# Query id -> what was written for it, without the query itself; [] where nothing is usable.
Expansions = dict[str, list[str]]

OURS = ("root", "text", "made_by")  # what `llmaug expand` and `llmaug augment` write
EXPANSION = "expansion"


def expand(
    queries: Mapping[str, str],
    plan: str | Step,
    *,
    lm: str | Backend | None = None,
    judge: str | Backend | None = None,
    cache: str | Path | None = None,
    seed: int = 0,
    window: int | None = None,
    embedder: Embedder | None = None,
    index: Retriever | None = None,
    failed: list[Failure] | None = None,
) -> Expansions:
    """Run a plan over queries {id: text}: what it wrote for each, in their order.

    Every query that did not fail has an entry, [] where no variant came out or each only repeats
    the query. The rest is as in `llmaug.augment`: failed queries are added to `failed`, and
    without that list raise `RowsFailed`; a `cache` keeps the replies, also then.
    """
    texts = [Text(text, id, id) for id, text in queries.items()]
    made: Expansions = {id: [] for id in queries}
    variants = augment(
        plan,
        texts,
        lm=lm,
        judge=judge,
        cache=cache,
        seed=seed,
        window=window,
        embedder=embedder,
        index=index,
        failed=failed,
    )
    for variant in variants:
        if variant.made_by:
            made[variant.root].append(variant.text)
    for failure in failed or ():
        made.pop(failure.root, None)
    return {id: usable(found, query=queries[id]) for id, found in made.items()}


def usable(texts: Sequence[str], *, query: str = "") -> list[str]:
    """The texts that are not empty and not the query said again, stripped."""
    said = _plain(query)
    return [text.strip() for text in texts if _plain(text) not in ("", said)]


def without_expansion(queries: Mapping[str, str], expansions: Expansions) -> list[str]:
    """The ids of the queries that have no usable expansion, which are searched as they are."""
    return [id for id in queries if not expansions.get(id)]


def read_expansions(path: str | Path, *, queries: Mapping[str, str] | None = None) -> Expansions:
    """The expansions of a file, in its order.

    Rows are those that `llmaug expand` wrote (`root`, `text`, `made_by`; a row without `made_by`
    is the query itself), or have an id and `expansion`, a string or a list of strings, as
    QueryGym's; several rows of one id are its expansions in turn. An empty `expansion` counts as
    none. Raises `TextError` for a row that is neither, when there are no rows, and where a row
    says that it was written for another query than the one of that id among `queries`.
    """
    source = endings.source(existing(Path(path)))
    expansions: Expansions = {}
    said: dict[str, str] = {}
    for place, row in source.rows():
        if isinstance(row, Fault):
            raise wrong(source, place, row.detail)
        ours = all(name in row for name in OURS)
        id, texts = (_ours if ours else _other)(row, source, place)
        expansions.setdefault(id, [])
        if ours and not row["made_by"]:
            said[id] = texts[0]
            continue
        expansions[id] += texts
        said.setdefault(id, str(row.get("query") or ""))
        asked = (queries or {}).get(id)
        if asked is not None and said[id] and _plain(said[id]) != _plain(asked):
            raise wrong(
                source,
                place,
                f"written for {short(said[id])!r}, while query {short(id)!r} is {short(asked)!r}: "
                "these are the expansions of other queries",
            )
    if not expansions and Path(path).stat().st_size:
        raise wrong(source, 1, "the file holds no expansions")
    return {id: usable(texts, query=said.get(id, "")) for id, texts in expansions.items()}


def write_expansions(
    path: str | Path, expansions: Expansions, *, queries: Mapping[str, str]
) -> int:
    """Write JSON lines of `_id`, `query` and `expansion` (a list), whole or not at all."""
    path = Path(path)
    if endings.ending(path) not in (".jsonl", ".ndjson"):
        raise OutputError(f"{path}: expansions are written as JSON lines; name it .jsonl")
    unknown = next((id for id in expansions if id not in queries), None)
    if unknown is not None:
        raise OutputError(f"{path}: there is no query {unknown!r}; give the queries expanded")
    fields = ("_id", "query", EXPANSION)
    rows = (
        dict(zip(fields, (id, queries[id], texts), strict=True)) for id, texts in expansions.items()
    )
    return endings.write_rows(path, rows, fields=fields)


def _ours(row: dict[str, Any], source: Source, place: int) -> tuple[str, list[str]]:
    return _id(row, "root", source, place), _strings([row["text"]], "text", source, place)


def _other(row: dict[str, Any], source: Source, place: int) -> tuple[str, list[str]]:
    field = next((name for name in ID_FIELDS if name in row), None)
    if field is None or EXPANSION not in row:
        lacks = "_id" if field is None else EXPANSION
        raise wrong(
            source,
            place,
            f"{lacking(lacks, row)}; a row of expansions has _id and expansion, or is one that "
            "llmaug expand wrote",
        )
    given = row[EXPANSION]
    texts = given if isinstance(given, list) else [] if given is None else [given]
    return _id(row, field, source, place), _strings(texts, EXPANSION, source, place)


def _id(row: dict[str, Any], field: str, source: Source, place: int) -> str:
    id = usable_id(row, field)
    if isinstance(id, Fault):
        raise wrong(source, place, id.detail)
    return id


def _strings(texts: list[Any], field: str, source: Source, place: int) -> list[str]:
    for text in texts:
        if not isinstance(text, str):
            raise wrong(source, place, f"the field {field!r} holds {kind(text)}, not a string")
    return texts


def _plain(text: str) -> str:
    """A text but for capitals, spacing and what an echo puts around it."""
    return " ".join(text.casefold().split()).strip("\"'`*“”„‘’.?! ")
