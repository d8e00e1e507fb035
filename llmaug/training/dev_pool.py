"""Which documents the queries of a dev set are searched in, where the whole corpus costs much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from llmaug.errors import RetrievalError
from llmaug.retrieval.index_reader import IndexReader
from llmaug.retrieval.qrels import Qrels

DEPTH = 100  # candidates of one query and side
SHARE = 0.75  # of the documents that are not judged: candidates; the others are random


def dev_pool(
    index: IndexReader,
    queries: Mapping[str, str],
    qrels: Qrels,
    *,
    size: int | None = None,
    seed: int = 0,
) -> list[str]:
    """The ids of at most `size` documents to search dev queries in; all of them where None.

    Every document judged for these queries; then the best by BM25 and by the index's own vectors,
    rank by rank over all queries, at three of four places that are left; then random ones. All
    models are measured on the same pool. It makes every value higher than the whole corpus does,
    and a little more so for a tuned model, whose own mistakes are less often in it than those of
    the base that chose the candidates. In the order of the corpus.

    Raises `RetrievalError` for a size that does not hold the judged documents.
    """
    ids: list[str] = index.ids.tolist()
    if size is None or size >= len(ids):
        return ids
    known = set(ids)
    judged = {id for query in queries for id in qrels.get(query, ()) if id in known}
    require_room(len(judged), size)
    chosen = dict.fromkeys(sorted(judged))
    most = len(judged) + round(SHARE * (size - len(judged)))
    for id in _candidates(index, queries):
        if len(chosen) >= most:
            break
        chosen.setdefault(id)
    others = sorted(known - chosen.keys())
    chosen.update(dict.fromkeys(_drawn(others, size - len(chosen), seed=seed)))
    return [id for id in ids if id in chosen]


def require_room(judged: int, size: int) -> None:
    """Raise `RetrievalError` where a pool does not hold so many judged documents."""
    if size < judged:
        raise RetrievalError(
            f"a dev pool of {size:,} documents cannot hold the {judged:,} that are judged "
            "for the dev queries; make it larger or take fewer queries"
        )


def _candidates(index: IndexReader, queries: Mapping[str, str]) -> Iterator[str]:
    """The documents ranked first for any query on any side, then those ranked second, …"""
    sides = [mode for mode in index.modes if mode != "hybrid"]
    ranked = [
        list(ranking)
        for mode in sides
        for _, ranking in sorted(index.search(queries, k=DEPTH, mode=mode).items())
    ]
    for rank in range(DEPTH):
        yield from (ranking[rank] for ranking in ranked if rank < len(ranking))


def _drawn(ids: list[str], count: int, *, seed: int) -> list[str]:
    import numpy as np

    places = np.random.default_rng(seed).choice(len(ids), size=count, replace=False)
    return [ids[int(place)] for place in places]
