"""Combining a query and its expansions as vectors."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from llmaug.retrieval.combination import Combination
from llmaug.retrieval.combine_searches import Asked, Ranking


@dataclass(frozen=True, repr=False)
class Mix(Combination):
    """(1 - weight) · query + weight · the mean of the expansions, as unit vectors, made unit again.

    That is the direction of the mean of (1 - weight) · query + weight · expansion over the
    expansions. HyDE (Gao et al. 2023) is weight = n / (n + 1) for n passages. Each expansion is
    encoded by itself, so an encoder that stops reading cuts it and never the query.
    """

    weight: float
    sides = frozenset({"dense"})

    def one_side(self, asked: Asked, side: str, *, depth: int) -> list[Ranking]:
        import numpy as np

        if not asked.expanded:
            return []
        texts = [text for _, expansions in asked.expanded for text in expansions]
        ends = itertools.accumulate(len(expansions) for _, expansions in asked.expanded)
        rows = asked.vectors(texts)
        means = np.stack([part.mean(axis=0) for part in np.split(rows, list(ends)[:-1])])
        queries = asked.query_vectors()
        mixed = (1 - self.weight) * queries + self.weight * means
        lengths = np.linalg.norm(mixed, axis=1, keepdims=True)
        # Opposite vectors can cancel out, which leaves no direction: then the query's.
        mixed = np.where(lengths > 1e-6, mixed / np.maximum(lengths, 1e-6), queries)
        return asked.near(mixed.astype(np.float32), depth)

    def instead(self, mode: str) -> str:
        if mode == "bm25":
            return "words have no vectors to mix; take mugi_concat() or rrf()"
        return f"it is dense only; take four_way(dense='{self}')"

    def __str__(self) -> str:
        return f"mix(weight={self.weight})"
