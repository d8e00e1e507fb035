"""Exact search over vectors that need not fit in memory: the truth that recall is measured by."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmaug.errors import RetrievalError
from llmaug.retrieval.ann_layers import faiss_library, threads_of_faiss
from llmaug.retrieval.ann_training import Blocks, finite, read_block, sample, sampled_rows, spans

if TYPE_CHECKING:
    import numpy as np

SAMPLE = 1_000  # queries


@dataclass(frozen=True, slots=True)
class ExactAnswers:
    """Queries and their true nearest rows: what every setting of an index is measured against.

    `rows` is (q, k); `worst` (q,) is the score of the k-th; `own` (q,) is the row that each query
    is itself, which never counts, and -1 for queries from outside.
    """

    queries: np.ndarray
    own: np.ndarray
    rows: np.ndarray
    worst: np.ndarray
    blocks: Blocks
    per_second: float

    @property
    def of_documents(self) -> bool:
        return bool((self.own >= 0).any())


def exact_answers(
    blocks: Blocks,
    count: int,
    dimension: int,
    *,
    k: int = 10,
    queries: np.ndarray | None = None,
    size: int = SAMPLE,
    seed: int = 1234,
    threads: int | None = None,
) -> ExactAnswers:
    """Search all vectors exactly, a block at a time.

    `queries` are query vectors if there are some, which tells more; otherwise `size` documents
    are sampled, and each is asked for its neighbours without itself.
    """
    import numpy as np

    if queries is None and count > 1:
        own = sampled_rows(count, size=size, seed=seed)
        asked = sample(blocks, count=count, size=size, dimension=dimension, seed=seed)
        k = min(k, count - 1)
    else:
        given = blocks(0, 1) if queries is None else queries
        if given.ndim != 2 or given.shape[1] != dimension or not len(given):
            raise RetrievalError(
                f"query vectors of the shape {given.shape} cannot measure the recall of "
                f"{dimension} dimensions; give at least one query of the same embedder"
            )
        asked, k = finite(given, what="the vector of query number", first=1), min(k, count)
        own = np.full(len(asked), -1, dtype=np.int64)
    found = k + bool((own >= 0).any())
    scores = np.full((len(asked), found), -np.inf, dtype=np.float32)
    rows = np.full((len(asked), found), -1, dtype=np.int64)
    faiss_library()  # importing it is not part of the time
    seconds = 0.0
    for start, stop in spans(0, count, dimension=dimension):
        block = read_block(blocks, start, stop, dimension=dimension)
        began = time.perf_counter()
        with threads_of_faiss(threads):
            scores, rows = _merged(scores, rows, asked, block, start)
        seconds += time.perf_counter() - began
    worst = others(scores, own, k, rows=rows)[:, -1]
    per_second = len(asked) / max(seconds, 1e-9)
    return ExactAnswers(asked, own, others(rows, own, k), worst, blocks, per_second)


def others(
    values: np.ndarray, own: np.ndarray, k: int, *, rows: np.ndarray | None = None
) -> np.ndarray:
    """The first `k` values of each query but the one at its own row, (q, k).

    `rows` are the row numbers that the values belong to; by default they are the values.
    """
    import numpy as np

    is_own = (values if rows is None else rows) == own[:, None]
    return np.take_along_axis(values, np.argsort(is_own, axis=1, kind="stable")[:, :k], axis=1)


def _merged(
    scores: np.ndarray, rows: np.ndarray, queries: np.ndarray, block: np.ndarray, start: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best of what was found so far and of one more block, best first."""
    import numpy as np

    faiss = faiss_library()
    found = min(scores.shape[1], len(block))
    new_scores, new_rows = faiss.knn(queries, block, found, metric=faiss.METRIC_INNER_PRODUCT)
    scores = np.hstack([scores, new_scores])
    rows = np.hstack([rows, new_rows + start])
    best = np.argsort(-scores, axis=1, kind="stable")[:, : scores.shape[1] - found]
    return np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)
