"""Searching an index: dense, by words, or both fused."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmaug.errors import RetrievalError
from llmaug.retrieval.fuse import Fusion, rrf
from llmaug.retrieval.index import Index
from llmaug.retrieval.queries import read_queries
from llmaug.retrieval.rankings import Rankings

if TYPE_CHECKING:
    pass

DEPTH = 1000  # hits of each side that a fusion sees
BATCH = 256  # queries encoded and searched at once


def search(
    index: Index | str | Path,
    queries: Mapping[str, str] | Sequence[str] | str | Path,
    *,
    k: int = 100,
    mode: str | None = None,
    fusion: Fusion | None = None,
    depth: int = DEPTH,
    batch: int = BATCH,
    threads: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Rankings:
    """The `k` best documents of every query: {query id: {document id: score}}, best first.

    `queries` are {id: text}, a list of texts (ids 0, 1, …) or a file. `mode` is "dense" (cosine),
    "bm25", or "hybrid" (both, the first `depth` hits of each combined by `fusion`, RRF unless
    given); None takes the last of these that the index has. Documents of equal score are in the
    order of trec_eval, so the same files give the same rankings. `threads` is FAISS's number.
    """
    if isinstance(index, str | Path):
        index = Index.open(index)
    if k < 1 or batch < 1 or depth < 1:
        raise RetrievalError("k, batch and depth must be at least 1")
    mode, fusion = index.mode(mode), fusion or rrf()
    asked = _asked(queries)
    ids = list(asked)
    rankings: Rankings = {}
    for start in range(0, len(ids), batch):
        part = ids[start : start + batch]
        texts = [asked[id] for id in part]
        deep = max(k, depth) if mode == "hybrid" else k
        sides = []
        if mode != "bm25":
            sides.append(index.dense(index.encode(texts), deep, threads=threads))
        if mode != "dense":
            sides.append(index.bm25(texts, deep))
        found = sides[0]
        if len(sides) == 2:
            found = [
                dict(itertools.islice(fusion.fuse(pair).items(), k))
                for pair in zip(*sides, strict=True)
            ]
        rankings.update(zip(part, found, strict=True))
        progress(len(rankings), len(ids))
    return rankings


def _asked(queries: Mapping[str, str] | Sequence[str] | str | Path) -> dict[str, str]:
    if isinstance(queries, str | Path):
        return read_queries(queries)
    if isinstance(queries, Mapping):
        return dict(queries)
    return {str(number): text for number, text in enumerate(queries)}
