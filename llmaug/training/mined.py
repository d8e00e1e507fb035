"""Pairs with hard negatives: documents that look like answers and are none."""

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
from llmaug.training.pairs import Pair, checked_pair, json_rows

SOURCES = ("dense", "bm25", "dense+bm25", "random")
SCORES = ("dense", "bm25", "teacher")


@dataclass(frozen=True, slots=True)
class Scores:
    """What each judge says of a query and a document; None where it was not asked.

    `dense` is a cosine, `bm25` a BM25 score (0 where they share no word), `teacher` from 0 (no
    answer) to 1 (an answer).
    """

    dense: float | None = None
    bm25: float | None = None
    teacher: float | None = None


@dataclass(frozen=True, slots=True)
class Negative:
    """A document that does not answer a query, where it was found and what was said of it.

    `rank` is its place, from 1, in the ranking of `source` (the better of the two for
    "dense+bm25"); 0 for "random".
    """

    document_id: str
    source: str
    rank: int
    scores: Scores = Scores()


@dataclass(frozen=True, slots=True)
class MinedPair:
    """A pair, what the judges say of it, and its negatives, hardest first."""

    pair: Pair
    scores: Scores
    negatives: tuple[Negative, ...]


def write_mined(path: str | Path, mined: Iterable[MinedPair]) -> int:
    """Write as JSONL, one line a pair; how many there were. Memory does not grow with them."""
    count = 0
    with new_file(Path(path)) as unfinished, unfinished.open("wb") as out:
        for one in mined:
            out.write(mined_line(one))
            count += 1
    return count


def mined_line(one: MinedPair) -> bytes:
    """A mined pair as the line that `read_mined` reads."""
    row = {**asdict(one.pair), "scores": asdict(one.scores)}
    row["negatives"] = [asdict(negative) for negative in one.negatives]
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def read_mined(path: str | Path) -> Iterator[MinedPair]:
    """The mined pairs of a JSONL file, one after the other.

    Raises `TextError` with file and line for what is none.
    """
    for where, row in json_rows(Path(path), what="mined pair"):
        yield _mined_in(row, where=where)


def _mined_in(row: dict[str, Any], *, where: str) -> MinedPair:
    negatives = row.get("negatives")
    if not isinstance(negatives, list) or not all(isinstance(one, dict) for one in negatives):
        raise TextError(f"{where}: 'negatives' is no list of objects; mine the pairs again")
    return MinedPair(
        checked_pair(row, where=where),
        _scores(row.get("scores"), where=where),
        tuple(_negative(one, where=where) for one in negatives),
    )


def _negative(row: dict[str, Any], *, where: str) -> Negative:
    id, source, rank = row.get("document_id"), row.get("source"), row.get("rank")
    if not isinstance(id, str) or source not in SOURCES or type(rank) is not int or rank < 0:
        raise TextError(
            f"{where}: {short(repr(row))} is no negative: it has a document_id, a source "
            f"({', '.join(SOURCES)}) and a rank"
        )
    return Negative(id, source, rank, _scores(row.get("scores"), where=where))


def _scores(row: Any, *, where: str) -> Scores:
    given = row if isinstance(row, dict) else {}
    for name in SCORES:
        value = given.get(name)
        if value is not None and (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise TextError(f"{where}: the score {name!r} is {short(repr(value))}, not a number")
        if name == "teacher" and value is not None and not 0 <= value <= 1:
            raise TextError(f"{where}: the score 'teacher' is {value}, not between 0 and 1")
    return Scores(**{name: given.get(name) for name in SCORES})
