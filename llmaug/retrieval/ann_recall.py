"""What an approximate index loses: its results beside those of exact search over the same vectors.

An index setting can cost more nDCG than fine-tuning an embedder gains, so it is measured, never
assumed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from llmaug.errors import RetrievalError
from llmaug.retrieval.ann import VectorIndex
from llmaug.retrieval.ann_exact import ExactAnswers, others

if TYPE_CHECKING:
    import numpy as np

TIE = 1e-6  # scores of one pair computed in two ways differ by less
FIRST_EF_SEARCH = 16
EXACT_ENOUGH = 8  # the effort that is kept is at most an eighth above one that is too low


@dataclass(frozen=True, slots=True)
class Recall:
    """The share of the true `k` nearest that an index returned, over a number of queries.

    `of_documents` says that documents stood in for queries. Each was asked without itself, but
    documents lie where the index is dense: real queries, which lie elsewhere, may fare worse.
    `per_second` and `exact_per_second` are queries per second, all of them in one batch, with
    the threads given; reading vectors from the disk is not counted.
    """

    recall: float
    k: int
    queries: int
    of_documents: bool
    effort: int
    per_second: float
    exact_per_second: float

    def __str__(self) -> str:
        asked = "sampled documents as queries" if self.of_documents else "queries"
        return (
            f"recall@{self.k} {self.recall:.3f} ({self.queries:,} {asked}), "
            f"{self.per_second:,.0f} queries/s, exact search {self.exact_per_second:,.0f}"
        )


class Tuned(NamedTuple):
    """The least effort that reached a recall, or the one that came nearest if none did."""

    recall: Recall
    reached: bool


def measure_recall(
    index: VectorIndex,
    answers: ExactAnswers,
    *,
    effort: int | None = None,
    threads: int | None = None,
) -> Recall:
    """How much of the exact answers the index returns at an effort (default: its own).

    A returned row counts if its exact score is no lower than that of the k-th true neighbour, so
    that among equals it does not matter which ones the index returns.
    """
    k = answers.rows.shape[1]
    began = time.perf_counter()
    _, rows = index.search(
        answers.queries, k + answers.of_documents, effort=effort, threads=threads
    )
    seconds = time.perf_counter() - began
    rows = others(rows, answers.own, k)
    hits = sum(_hits(answers, query, found) for query, found in enumerate(rows))
    return Recall(
        recall=hits / answers.rows.size,
        k=k,
        queries=len(rows),
        of_documents=answers.of_documents,
        effort=min(effort or index.effort, index.largest_effort),
        per_second=len(rows) / max(seconds, 1e-9),
        exact_per_second=answers.per_second,
    )


def tune(
    index: VectorIndex, answers: ExactAnswers, *, min_recall: float, threads: int | None = None
) -> Tuned:
    """Raise the effort until the recall is reached: doubled first, then narrowed down.

    The index keeps its own effort; the caller sets `index.effort = tuned.recall.effort`.
    """
    measured: dict[int, Recall] = {}

    def reaches(effort: int) -> bool:
        measured[effort] = measure_recall(index, answers, effort=effort, threads=threads)
        return measured[effort].recall >= min_recall

    too_low, effort = 0, FIRST_EF_SEARCH if index.effort_name == "efSearch" else 1
    effort = min(effort, index.largest_effort)
    while not reaches(effort):
        if effort == index.largest_effort:
            best = max(measured.values(), key=lambda each: (each.recall, -each.effort))
            return Tuned(best, reached=False)
        too_low, effort = effort, min(2 * effort, index.largest_effort)
    while too_low and effort - too_low > max(1, effort // EXACT_ENOUGH):
        between = (too_low + effort) // 2
        if reaches(between):
            effort = between
        else:
            too_low = between
    return Tuned(measured[effort], reached=True)


def out_of_reach(tuned: Tuned, index: VectorIndex, *, min_recall: float) -> RetrievalError:
    """The error to raise where a recall was not reached."""
    at = f" at {index.effort_name}={tuned.recall.effort}" if index.effort_name else ""
    better = "Flat, which is exact"
    if "HNSW" not in index.factory:
        better = "HNSW32 or Flat"
    if not any(exact in index.factory for exact in ("Flat", "HNSW", "Refine")):
        better = f"HNSW32 or {index.factory},RFlat"
    return RetrievalError(
        f"--min-recall {min_recall:g} cannot be reached with {index.factory}: best "
        f"{tuned.recall.recall:.3f}{at}; try {better}"
    )


def _hits(answers: ExactAnswers, query: int, found: np.ndarray) -> int:
    """How many of the rows found are among the true nearest or score as high."""
    import numpy as np

    found = np.unique(found[found >= 0])
    others = found[~np.isin(found, answers.rows[query])]
    hits = len(found) - len(others)
    if len(others):
        vectors = np.concatenate([answers.blocks(int(row), int(row) + 1) for row in others])
        scores = vectors @ answers.queries[query]
        hits += int((scores >= answers.worst[query] - TIE).sum())
    return hits
