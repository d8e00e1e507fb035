"""Combinations that search for the query and for each expansion, and make one of the rankings."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from llmaug.errors import PlanError
from llmaug.retrieval.combination import SIDES, Combination
from llmaug.retrieval.combine_searches import Asked, Ranking
from llmaug.retrieval.fuse import Convex, Fusion, ReciprocalRank

LISTS = 4  # of four_way


@dataclass(frozen=True, repr=False)
class Max(Combination):
    """A document's score is the best that the query or one of its expansions gives it."""

    def one_side(self, asked: Asked, side: str, *, depth: int) -> list[Ranking]:
        # Exact: who is among the best by the maximum is so by the text that gave the maximum.
        return [_maximum(rankings, depth) for rankings in _of_each(asked, side, depth)]

    def __str__(self) -> str:
        return "max()"


@dataclass(frozen=True, repr=False)
class Fused(Combination):
    """The ranking of the query and those of the expansions under one fusion rule.

    In the mode hybrid all of both sides at once, as RAG-Fusion does. The first of the rule's
    weights is the query's, the next ones those of the expansions; the last holds for all further
    ones, so (2, 1) counts the query twice against each expansion, however many there are.
    """

    fusion: ReciprocalRank | Convex
    fuses = True

    def one_side(self, asked: Asked, side: str, *, depth: int) -> list[Ranking]:
        return [
            self._rule(len(rankings)).fuse(rankings) for rankings in _of_each(asked, side, depth)
        ]

    def combined(self, asked: Asked, mode: str, *, depth: int, fusion: Fusion) -> list[Ranking]:
        if mode != "hybrid":
            return self.one_side(asked, mode, depth=depth)
        sides = [_of_each(asked, side, depth) for side in SIDES]
        return [
            self._rule(len(dense), sides=2).fuse([*dense, *words])
            for dense, words in zip(*sides, strict=True)
        ]

    def _rule(self, count: int, *, sides: int = 1) -> Fusion:
        given = self.fusion.weights
        if given is None:
            return self.fusion
        weights = (*given, *itertools.repeat(given[-1], count))[:count]
        return dataclasses.replace(self.fusion, weights=weights * sides)

    def __str__(self) -> str:
        return str(self.fusion)


@dataclass(frozen=True, repr=False)
class FourWay(Combination):
    """Four rankings as one: dense and BM25, each with the query alone and with its expansions.

    The order, also that of the fusion's weights: dense, dense with expansions, BM25, BM25 with
    expansions.
    """

    dense: Combination
    lexical: Combination
    fusion: Fusion
    sides = frozenset()

    def check(self, mode: str) -> None:
        if mode != "hybrid":
            raise PlanError(f"{self} needs the mode hybrid, not {mode}: take one of its sides")
        self.dense.check("dense")
        self.lexical.check("bm25")
        self.fusion.weigh(LISTS)

    def combined(self, asked: Asked, mode: str, *, depth: int, fusion: Fusion) -> list[Ranking]:
        four = [
            asked.original("dense", depth),
            self.dense.one_side(asked, "dense", depth=depth),
            asked.original("bm25", depth),
            self.lexical.one_side(asked, "bm25", depth=depth),
        ]
        return [self.fusion.fuse(rankings) for rankings in zip(*four, strict=True)]

    def dense_text(self, query: str, expansions: Sequence[str]) -> str | None:
        return self.dense.dense_text(query, expansions)

    def __str__(self) -> str:
        parts = (self.dense, self.lexical, self.fusion)
        return "four_way(dense={!r}, lexical={!r}, fusion={!r})".format(*map(str, parts))


def _of_each(asked: Asked, side: str, depth: int) -> list[list[Ranking]]:
    """For each query its own ranking and that of each expansion."""
    texts = [text for _, expansions in asked.expanded for text in expansions]
    found = iter(asked.found_by(side, texts, depth))
    return [
        [own, *itertools.islice(found, len(expansions))]
        for own, (_, expansions) in zip(asked.original(side, depth), asked.expanded, strict=True)
    ]


def _maximum(rankings: Sequence[Ranking], depth: int) -> Ranking:
    best: Ranking = {}
    for ranking in rankings:
        for document, score in ranking.items():
            best[document] = max(score, best.get(document, score))
    in_order = sorted(best, key=lambda document: (best[document], document), reverse=True)
    return {document: best[document] for document in in_order[:depth]}
