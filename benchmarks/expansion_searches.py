"""Stored expansions searched in every way: nDCG@10 by query, each text encoded once for good."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import llmaug as la
from llmaug.request import Embedder
from llmaug.retrieval.expand import search_expanded
from llmaug.retrieval.expansions import Expansions, read_expansions
from llmaug.retrieval.index_reader import IndexReader
from llmaug.retrieval.measure import Evaluation, evaluate
from llmaug.retrieval.rankings import Rankings
from llmaug.retrieval.vectors import VectorStore, key

MEASURE = "nDCG@10"
MODES = ("dense", "bm25", "hybrid")
ZSCORE = "convex(scale='zscore')"
# What a column of the table is called, the mode, and the combination.
WAYS = (
    ("alone", "dense", "alone()"),
    ("concat", "dense", "concat(repeat=1)"),
    ("mix", "dense", "mix(weight=0.5)"),
    ("mugi_concat", "bm25", "mugi_concat(beta=6)"),
    ("concat x5", "bm25", "concat(repeat=5)"),
    ("four_way rrf", "hybrid", "four_way()"),
    ("four_way zscore", "hybrid", f'four_way(fusion="{ZSCORE}")'),
)


class Remembered:
    """An embedder that keeps what it has encoded in a store.

    Queries are filed as documents are, which is right for MiniLM: it has a prompt for neither.
    """

    def __init__(self, embedder: Embedder, store: Path) -> None:
        assert {embedder.prompt(side) for side in ("query", "document")} == {""}
        self._embedder, self._store = embedder, VectorStore(store, embedder=embedder)
        self.name, self.fingerprint = embedder.name, embedder.fingerprint
        self.batch = embedder.batch

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(getattr(self._embedder, "parameters", {}))

    def prompt(self, side: str) -> str:
        return ""

    def encode(self, texts: Sequence[str], *, side: str = "") -> np.ndarray:
        if not texts:
            return self._embedder.encode(texts)
        keys = np.frombuffer(b"".join(map(key, texts)), dtype="V16")
        self._store.fill(lambda places: [texts[i] for i in places], keys)
        return self._store.block(self._store.rows(keys))


class Bench:
    """The judged queries of a collection, its index, and what was written for the queries."""

    def __init__(self, expansions: Path, data: Path, index: Path, *, vectors: Path) -> None:
        collection = la.Collection.read(data)
        self.qrels = collection.qrels
        self.queries = {id: collection.queries[id] for id in self.qrels}
        self.index = IndexReader(
            index, embedder=Remembered(la.embedder("minilm", device="cpu"), vectors)
        )
        self.files: dict[str, Expansions] = {
            path.stem: read_expansions(path) for path in sorted(expansions.glob("*.jsonl"))
        }
        self.rankings = {mode: self.index.search(self.queries, k=1000, mode=mode) for mode in MODES}

    def plain(self, mode: str, fusion: str | None = None) -> Evaluation:
        """The queries without expansions."""
        if fusion is None:
            return self.measured(self.rankings[mode])
        sides = [self.rankings["dense"], self.rankings["bm25"]]
        return self.measured(la.fuse(sides, fusion))

    def expanded(self, file: str, mode: str, how: str) -> Evaluation:
        """The queries with what a file holds for them, combined in one way."""
        found = search_expanded(
            self.index, self.queries, self.files[file], k=100, mode=mode, combine=how
        )
        return self.measured(found.rankings)

    def measured(self, rankings: Rankings) -> Evaluation:
        """nDCG@10 of every query."""
        return evaluate(rankings, self.qrels, [MEASURE])


def values(evaluation: Evaluation) -> np.ndarray:
    """nDCG@10 of the queries in the order of their ids."""
    of = evaluation.per_query[MEASURE]
    return np.array([of[id] for id in sorted(of)])
