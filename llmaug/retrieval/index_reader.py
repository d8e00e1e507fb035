"""An index that is open: what searches it and what it holds."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmaug.errors import RetrievalError, did_you_mean
from llmaug.request import Embedder
from llmaug.retrieval import building, index_folder
from llmaug.retrieval.ann import VectorIndex
from llmaug.retrieval.document_file import DocumentFile
from llmaug.retrieval.embed import embedder as embedder_named
from llmaug.retrieval.fuse import Fusion, rrf
from llmaug.retrieval.lexical import LexicalIndex
from llmaug.retrieval.rankings import Rankings
from llmaug.retrieval.top import cut_through_equals, settle
from llmaug.retrieval.vectors import VectorStore
from llmaug.text import Text

if TYPE_CHECKING:
    import numpy as np

MODES = ("dense", "bm25", "hybrid")
DEPTH = 1000  # hits of each side that a fusion sees
BATCH = 256  # queries encoded and searched at once
AHEAD = 16  # hits fetched beyond k, so that documents of equal score at the cut can be told apart


class IndexReader:
    """A folder with everything that a search needs, open for reading.

    `embedder` encodes the queries: by default the one that encoded the documents, found by its
    name. Every file is compared with its SHA-256 before anything reads it. Searching is safe from
    several threads. Raises `RetrievalError` for a folder that is none, or was changed.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        embedder: Embedder | str | None = None,
        device: str | None = None,
    ) -> None:
        import numpy as np

        self.folder = Path(folder)
        self.name = str(folder)
        edition, self.about = index_folder.current(self.folder, needs=building.FILES)
        self.documents = DocumentFile(edition)
        self.ids: np.ndarray = np.array(self.documents.ids, dtype=object)
        self.tie_rank: np.ndarray = np.load(edition / building.TIE_RANK, allow_pickle=False)
        self._vectors = self._opened(edition) if self.about["dense"] else None
        self._words = (
            LexicalIndex.load(edition / building.LEXICAL) if self.about["lexical"] else None
        )
        self._given, self._device = embedder, device
        self._embedder: Embedder | None = None
        self._encoding = threading.Lock()

    def __len__(self) -> int:
        return len(self.documents)

    def __repr__(self) -> str:
        return f"Index({self.name!r}: {building.described(self.about)})"

    def _opened(self, edition: Path) -> VectorIndex:
        dense = self.about["dense"]
        return VectorIndex.load(
            edition / building.DENSE,
            factory=dense["factory"],
            count=len(self.documents),
            dimension=dense["dimension"],
            effort=dense["effort"],
        )

    @property
    def fingerprint(self) -> str:
        """12 hex digits over what decides a search: documents, embedder, settings."""
        return hashlib.sha256(self.about["identity"].encode()).hexdigest()[:12]

    @property
    def modes(self) -> list[str]:
        """The ways in which this index can be searched."""
        sides = [self._vectors is not None, self._words is not None]
        return [mode for mode, can in zip(MODES, [*sides, all(sides)], strict=True) if can]

    def mode(self, asked: str | None) -> str:
        """The way of searching asked for, else the best that the index has."""
        if asked is None:
            return self.modes[-1]
        if asked not in MODES:
            raise RetrievalError(f"no search mode {asked!r}; {did_you_mean(asked, MODES)}")
        if asked not in self.modes:
            raise RetrievalError(
                f"{self.name} cannot be searched by {asked}: it was built for "
                f"{' and '.join(self.modes)} only; build it again with both sides"
            )
        return asked

    @property
    def embedder(self) -> Embedder:
        """The embedder of the queries, which must be the one of the documents."""
        if self._embedder is None:
            self._embedder = self._matching()
        return self._embedder

    def _matching(self) -> Embedder:
        made = self.about["dense"]["embedder"]
        given = self._given
        if given is None or isinstance(given, str):
            given = embedder_named(given or made["name"], device=self._device, **made["parameters"])
        if given.fingerprint != made["fingerprint"]:
            raise RetrievalError(
                f"{self.name} was made with other weights or prompts: {made['name']}@"
                f"{made['fingerprint']} there, {given.name}@{given.fingerprint} now; build it "
                "again, or name the embedder that made it"
            )
        if self._store_folder.is_dir():  # an index can be searched without its store
            VectorStore(self._store_folder, embedder=given, dtype=None).check_probe()
        return given

    def encode(self, queries: Sequence[str]) -> np.ndarray:
        """The queries as (n, d) float32 vectors of unit length."""
        with self._encoding:
            return self.embedder.encode(queries, side="query")

    def dense(
        self, vectors: np.ndarray, k: int, *, threads: int | None = None
    ) -> list[dict[str, float]]:
        """The `k` nearest documents of each query vector: {document id: cosine}, best first."""
        if self._vectors is None:
            self.mode("dense")
        assert self._vectors is not None
        fetched = min(k + AHEAD, len(self))
        scores, rows = self._vectors.search(vectors, fetched, threads=threads)
        # A cut through documents of equal score would keep whichever FAISS met first.
        while fetched < len(self) and cut_through_equals(scores, k):
            fetched = min(fetched * 4, len(self))
            scores, rows = self._vectors.search(vectors, fetched, threads=threads)
        scores, rows = settle(scores, rows, self.tie_rank, k)
        return [self._named(row, score) for row, score in zip(rows, scores, strict=True)]

    def _named(self, rows: np.ndarray, scores: np.ndarray) -> dict[str, float]:
        if len(rows) and rows[-1] < 0:  # an approximate search found fewer
            rows, scores = rows[rows >= 0], scores[rows >= 0]
        return dict(zip(self.ids[rows].tolist(), scores.tolist(), strict=True))

    def bm25(self, queries: Sequence[str], k: int) -> list[dict[str, float]]:
        """The `k` best documents of each query by their words: {document id: score}, best first.

        Only documents that share a word with the query.
        """
        if self._words is None:
            self.mode("bm25")
        assert self._words is not None
        found = self._words.search(queries, k, tie_rank=self.tie_rank)
        return [self._named(rows, scores) for rows, scores in found]

    def search(
        self,
        queries: Mapping[str, str],
        *,
        k: int,
        mode: str | None = None,
        fusion: Fusion | None = None,
        depth: int = DEPTH,
        batch: int = BATCH,
        threads: int | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Rankings:
        """The `k` best documents of every query {id: text}; see `llmaug.search`."""
        if min(k, batch, depth) < 1:
            raise RetrievalError("k, batch and depth must be at least 1")
        mode, fusion = self.mode(mode), fusion or rrf()
        ids = list(queries)
        deep = max(k, depth) if mode == "hybrid" else k
        rankings: Rankings = {}
        for start in range(0, len(ids), batch):
            part = ids[start : start + batch]
            texts = [queries[id] for id in part]
            sides = []
            if mode != "bm25":
                sides.append(self.dense(self.encode(texts), deep, threads=threads))
            if mode != "dense":
                sides.append(self.bm25(texts, deep))
            found = sides[0]
            if len(sides) == 2:
                found = [
                    dict(itertools.islice(fusion.fuse(pair).items(), k))
                    for pair in zip(*sides, strict=True)
                ]
            rankings.update(zip(part, found, strict=True))
            progress(len(rankings), len(ids))
        return rankings

    def retrieve(self, queries: Sequence[str], k: int) -> list[list[Text]]:
        """The `k` best passages of each query with `score` and `rank`, for plans (`ctx.search`)."""
        rankings = self.search({str(n): query for n, query in enumerate(queries)}, k=k)
        return [
            [
                self.document(id).with_meta(score=score, rank=rank)
                for rank, (id, score) in enumerate(ranking.items(), 1)
            ]
            for ranking in rankings.values()
        ]

    def document(self, id: str) -> Text:
        """The document of that id."""
        if not hasattr(self, "_places"):
            self._places = {id: place for place, id in enumerate(self.documents.ids)}
        if id not in self._places:
            raise RetrievalError(f"{self.name} has no document {id!r}")
        return self.documents[self._places[id]]

    @property
    def store(self) -> VectorStore:
        """The vectors of the documents, and of others that share the store."""
        return VectorStore(self._store_folder, embedder=self.embedder, dtype=None)

    @property
    def _store_folder(self) -> Path:
        return Path(self.about["vectors"] or self.folder / index_folder.VECTORS)
