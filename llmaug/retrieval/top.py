"""The best documents of a query, in the one order that trec_eval gives them.

Score descending, then document id descending by the bytes of its UTF-8, which is also the order of
Python's strings. Ids are compared once, when an index opens: `tie_ranks` numbers them, and every
search compares numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np


class Hits(NamedTuple):
    """The documents found for one query, best first."""

    positions: np.ndarray  # (n,) int64, places in the corpus
    scores: np.ndarray  # (n,) float32


class HitBlock(NamedTuple):
    """The documents found for several queries, each row best first.

    In FAISS's order of fields. Positions are -1 where a search found fewer than k.
    """

    scores: np.ndarray  # (queries, k) float32
    positions: np.ndarray  # (queries, k) int64


def tie_ranks(ids: Sequence[str]) -> np.ndarray:
    """For each position the place of its id in descending order, (n,) int64: the lowest wins."""
    import numpy as np

    order = sorted(range(len(ids)), key=ids.__getitem__, reverse=True)
    ranks = np.empty(len(ids), dtype=np.int64)
    ranks[order] = np.arange(len(ids))
    return ranks


def top(
    scores: np.ndarray, k: int, tie_rank: np.ndarray, *, among: np.ndarray | None = None
) -> np.ndarray:
    """The positions of the k best of one vector of finite scores, best first.

    Exact where scores tie, at the cut as well. Fewer than k scores give all of them. `among` holds
    the positions that the scores belong to, where they are not those of the whole corpus.
    """
    import numpy as np

    def places(best: np.ndarray) -> np.ndarray:
        return best if among is None else among[best]

    size = len(scores)
    if k <= 0:
        return np.empty(0, dtype=np.int64)
    if k >= size:
        best = np.arange(size)
    else:
        lowest = np.partition(scores, size - k)[size - k]
        best = np.flatnonzero(scores >= lowest)
        if len(best) > k:
            level = scores[best] == lowest
            tied, above = best[level], best[~level]
            wanted = k - len(above)
            winners = np.argpartition(tie_rank[places(tied)], wanted - 1)[:wanted]
            best = np.concatenate([above, tied[winners]])
    chosen = places(best)
    return chosen[np.lexsort((tie_rank[chosen], -scores[best]))]


def settle(scores: np.ndarray, positions: np.ndarray, tie_rank: np.ndarray, k: int) -> HitBlock:
    """What a vector search found for several queries, in trec_eval's order and cut to k.

    Both arrays are (queries, found). Ask the search for some more than k: documents that tie with
    the last one found but were not found cannot be put in order here. Places that the search left
    empty (position -1) come last.
    """
    import numpy as np

    # Nearly every row comes in its final order; only those that do not strictly fall are sorted.
    unsettled = np.flatnonzero((scores[:, :-1] <= scores[:, 1:]).any(axis=1))
    if len(unsettled):
        some_scores, some = scores[unsettled], positions[unsettled]
        empty = some < 0
        ties = np.where(empty, len(tie_rank), tie_rank[some])
        order = np.lexsort((ties, -some_scores, empty), axis=1)
        scores, positions = scores.copy(), positions.copy()
        scores[unsettled] = np.take_along_axis(some_scores, order, axis=1)
        positions[unsettled] = np.take_along_axis(some, order, axis=1)
    return HitBlock(scores[:, :k], positions[:, :k])


def cut_through_equals(scores: np.ndarray, k: int) -> np.ndarray:
    """The queries for which a search must fetch more: all found from the k-th on are equal.

    Then there may be more of that score, and which of them belong to the k best is not settled.
    """
    import numpy as np

    last = scores[:, -1]
    return np.flatnonzero((scores[:, k - 1] == last) & np.isfinite(last))
