"""Queries that ask the same in other words, found by their embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmaug.errors import RetrievalError
from llmaug.request import Embedder
from llmaug.training.pairs import Pair
from llmaug.training.screening import Screened, by_merit, screened

if TYPE_CHECKING:
    import numpy as np

BLOCK = 1_024  # queries that are embedded or compared at once
COMPARED = 8_192  # kept queries that a block is compared with at once


def without_near_duplicates(
    pairs: Sequence[Pair], embedder: Embedder, *, max: float = 0.95
) -> Screened:
    """Keep of the queries whose embeddings have a cosine above `max` only one.

    That is the one with the best score, then the first. No two of those kept are closer than
    `max`, and each one dropped is closer to one that was kept. Pairs of one query id stay
    together. Memory grows with one vector a query; time with the square of the queries.
    """
    if not 0 < max <= 1:
        raise RetrievalError(
            f"the largest cosine of two queries is {max}; give a number above 0, at most 1"
        )
    queries = by_merit(pairs)
    apart = dict(
        zip(queries, _apart(embedded([q for _, q in queries], embedder), max), strict=True)
    )
    return screened(
        pairs, ("" if apart[pair.query_id, pair.query] else "near-duplicate" for pair in pairs)
    )


def embedded(texts: Sequence[str], embedder: Embedder) -> np.ndarray:
    """The texts as unit vectors, (n, d) float32, without the prompt of either side."""
    import numpy as np

    parts = [embedder.encode(texts[start : start + BLOCK]) for start in range(0, len(texts), BLOCK)]
    vectors: np.ndarray = np.concatenate(parts) if parts else embedder.encode([])
    return vectors


def _apart(vectors: np.ndarray, most: float) -> np.ndarray:
    """For each vector whether it is at most that close to all before it of which this is true."""
    import numpy as np

    apart = np.ones(len(vectors), dtype=bool)
    kept = np.empty_like(vectors)
    count = 0
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        free = apart[start : start + BLOCK]  # a view
        for begin in range(0, count, COMPARED):
            earlier = kept[begin : min(begin + COMPARED, count)]
            free &= (block @ earlier.T).max(axis=1) <= most
        close = block @ block.T > most
        for place in range(len(block)):
            if free[place]:
                free[place + 1 :] &= ~close[place, place + 1 :]
        kept[count : count + free.sum()] = block[free]
        count += int(free.sum())
    return apart
