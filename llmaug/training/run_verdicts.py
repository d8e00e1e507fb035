"""What a run over documents says of each query: whether it passed, and why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from llmaug import journal
from llmaug.training.recipe_sections import SCORE

Asked = tuple[str, str]  # a document's id and a query for it


class Verdicts(NamedTuple):
    """The queries that passed, with the score that a filter gave or None, and why others did not.

    `failed` are documents whose row failed, by the class of the error.
    """

    scores: dict[Asked, float | None]
    reasons: dict[Asked, str]
    failed: dict[str, str]


def verdicts(run: Path, *, score: str = SCORE) -> Verdicts:
    """Read a run directory; `score` is the field that holds a query's score."""
    found = Verdicts({}, {}, {})
    for row in _rows(run / "output.jsonl"):
        shared = row.get("meta") or {}
        for variant in row["variants"]:
            value = (variant.get("meta") or shared).get(score)
            found.scores[row["root"], variant["text"]] = None if value is None else float(value)
        for drop in row.get("drops", ()):
            found.reasons[row["root"], drop["text"]] = drop["reason"]
    for row in _rows(run / "failures.jsonl"):
        found.failed[row["root"]] = row["error"]
    return found


def drops(run: Path) -> dict[str, int]:
    """How many variants of a run were dropped for each reason, the most frequent first."""
    counts: Counter[str] = Counter()
    for row in _rows(run / "output.jsonl"):
        counts.update(drop["reason"] for drop in row.get("drops", ()))
    return dict(counts.most_common())


class Cuts(NamedTuple):
    """How many of the passages were cut, and how many tokens were left of these at most."""

    cut: int
    passages: int
    tokens: int

    def __str__(self) -> str:
        return f"{self.cut:,} of {self.passages:,} passages were cut at {self.tokens:,} tokens"


def cuts(run: Path) -> Cuts:
    """What a run cut of the passages, as far as something that was written for them is left."""
    kept: dict[str, int] = {}
    passages: set[str] = set()
    for row in _rows(run / "output.jsonl"):
        for variant in row["variants"]:
            meta = variant.get("meta") or row.get("meta") or {}
            if "tokens_whole" not in meta:
                continue
            passages.add(row["root"])
            if meta["tokens_kept"] < meta["tokens_whole"]:
                kept[row["root"]] = max(meta["tokens_kept"], kept.get(row["root"], 0))
    return Cuts(len(kept), len(passages), max(kept.values(), default=0))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in journal.lines(path):
            yield orjson.loads(line.content)
