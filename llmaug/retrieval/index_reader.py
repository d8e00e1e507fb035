"""An index that is open: what searches it and what it holds."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmaug.errors import LlmaugError, RetrievalError, TextError, did_you_mean
from llmaug.request import Embedder
from llmaug.retrieval import building, index_folder
from llmaug.retrieval.ann import VectorIndex
from llmaug.retrieval.document_file import DocumentFile
from llmaug.retrieval.fuse import Fusion, rrf
from llmaug.retrieval.lexical import LexicalIndex
from llmaug.retrieval.query_embedder import query_embedder
from llmaug.retrieval.rankings import Rankings
from llmaug.retrieval.top import cut_through_equals, settle
from llmaug.text import Text

if TYPE_CHECKING:
    import numpy as np

MODES = ("dense", "bm25", "hybrid")
DEPTH = 1000  # hits of each side that a fusion sees
BATCH = 256  # queries encoded and searched at once
REPLACED = 5  # times that an index may be replaced while it is being opened
AHEAD = 8  # hits fetched beyond k, so that documents of equal score at the cut can be told apart


class IndexReader:
    """A folder with everything that a search needs, open for reading.

    `embedder` encodes the queries: by default the one that encoded the documents, found by its
    name, on a server at `base_url` if it is a served one. Every file is compared with its SHA-256
    before anything reads it. `lexical` is its BM25 side, None where it has none. Searching is safe
    from several threads. Raises `RetrievalError` for a folder that is none, or was changed.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        embedder: Embedder | str | None = None,
        device: str | None = None,
        base_url: str | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.name = str(folder)
        self._given, self._device, self._base_url = embedder, device, base_url
        self._embedder: Embedder | None = None
        self._matching_embedder = threading.Lock()
        for _ in range(REPLACED):
            edition = index_folder.in_force(self.folder)
            try:
                self._open()
                return
            except (LlmaugError, OSError):
                # A build may have put other files into force while these were being opened.
                if index_folder.in_force(self.folder) == edition:
                    raise
        self._open()

    def _open(self) -> None:
        import numpy as np

        edition, self.about = index_folder.current(self.folder, needs=building.files_of)
        self.edition = edition
        self.documents = DocumentFile(edition)
        self.ids: np.ndarray = np.array(self.documents.ids, dtype=object)
        self.queries: list[str] = json.loads((edition / building.QUERIES).read_bytes())
        self.tie_rank: np.ndarray = np.load(edition / building.TIE_RANK, allow_pickle=False)
        dense, lexical = self.about["dense"], self.about["lexical"]
        self._vectors = dense and VectorIndex.load(
            edition / building.DENSE,
            factory=dense["factory"],
            count=len(self.documents),
            dimension=dense["dimension"],
            effort=dense["effort"],
        )
        self.lexical: LexicalIndex | None = lexical and LexicalIndex.load(
            edition / building.LEXICAL
        )

    def __len__(self) -> int:
        return len(self.documents)

    def __repr__(self) -> str:
        return f"Index({self.name!r}: {building.described(self.about)})"

    @property
    def fingerprint(self) -> str:
        """12 hex digits over what decides a search: documents, embedder, settings."""
        return hashlib.sha256(self.about["identity"].encode()).hexdigest()[:12]

    @property
    def modes(self) -> list[str]:
        """The ways in which this index can be searched."""
        sides = [self._vectors is not None, self.lexical is not None]
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
        with self._matching_embedder:
            if self._embedder is None:
                self.mode("dense")
                self._embedder = query_embedder(
                    self._given,
                    self.about["dense"]["embedder"],
                    index=self.name,
                    device=self._device,
                    base_url=self._base_url,
                )
            return self._embedder

    def encode(self, queries: Sequence[str]) -> np.ndarray:
        """The queries as (n, d) float32 vectors of unit length."""
        return self.embedder.encode(queries, side="query")

    def dense(
        self, vectors: np.ndarray, k: int, *, threads: int | None = None
    ) -> list[dict[str, float]]:
        """The `k` nearest documents of each query vector: {document id: cosine}, best first."""
        import numpy as np

        if self._vectors is None:
            self.mode("dense")
        fetched = min(k + AHEAD, len(self))
        scores, rows = self._vectors.search(vectors, fetched, threads=threads)
        cut = cut_through_equals(scores, k) if fetched < len(self) else np.empty(0, dtype=int)
        scores, rows = settle(scores, rows, self.tie_rank, k)
        found = [self._named(row, score) for row, score in zip(rows, scores, strict=True)]
        for query in cut.tolist():
            found[query] = self._beyond(vectors[query : query + 1], k, fetched, threads)
        return found

    def _beyond(
        self, vector: np.ndarray, k: int, fetched: int, threads: int | None
    ) -> dict[str, float]:
        """The same for one query whose k-th hit has more equals than were fetched.

        Else FAISS would decide which of them are among the best.
        """
        while True:
            fetched = min(fetched * 8, len(self))
            scores, rows = self._vectors.search(vector, fetched, threads=threads)
            if fetched == len(self) or not len(cut_through_equals(scores, k)):
                scores, rows = settle(scores, rows, self.tie_rank, k)
                return self._named(rows[0], scores[0])

    def _named(self, rows: np.ndarray, scores: np.ndarray) -> dict[str, float]:
        if len(rows) and rows[-1] < 0:  # an approximate search found fewer
            rows, scores = rows[rows >= 0], scores[rows >= 0]
        return dict(zip(self.ids[rows].tolist(), scores.tolist(), strict=True))

    def bm25(self, queries: Sequence[str], k: int) -> list[dict[str, float]]:
        """The `k` best documents of each query by their words: {document id: score}, best first.

        Only documents that share a word with the query.
        """
        if self.lexical is None:
            self.mode("bm25")  # raises
        assert self.lexical is not None
        found = self.lexical.search(queries, k, tie_rank=self.tie_rank)
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
        for name, number in (("k", k), ("batch", batch), ("depth", depth)):
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise RetrievalError(f"{name} must be a whole number above 0, not {number!r}")
        for id, query in queries.items():
            if not isinstance(query, str):
                raise TextError(f"query {id!r} is a {type(query).__name__}, not a string")
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
