"""An index over a corpus: its documents, their vectors under FAISS, and their words under BM25."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug.errors import RetrievalError, did_you_mean
from llmaug.request import Embedder
from llmaug.retrieval import building, index_folder
from llmaug.retrieval.ann import VectorIndex
from llmaug.retrieval.collection import Collection
from llmaug.retrieval.dense import Progress
from llmaug.retrieval.document_file import DocumentFile
from llmaug.retrieval.embed import embedder as embedder_named
from llmaug.retrieval.lexical import LexicalIndex
from llmaug.retrieval.rankings import Rankings
from llmaug.retrieval.revision import Added, Recalled, without
from llmaug.retrieval.settings import Settings
from llmaug.retrieval.top import cut_through_equals, settle
from llmaug.retrieval.vectors import VectorStore
from llmaug.text import Text

if TYPE_CHECKING:
    import numpy as np

MODES = ("dense", "bm25", "hybrid")
AHEAD = 16  # hits fetched beyond k, so that documents of equal score at the cut can be told apart


class Index:
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

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        embedder: Embedder | str | None = None,
        device: str | None = None,
    ) -> Index:
        """The index in a folder."""
        return cls(folder, embedder=embedder, device=device)

    @classmethod
    def build(
        cls,
        corpus: str | Path | Collection | Iterable[Text],
        folder: str | Path,
        *,
        embedder: Embedder | str | None = "minilm",
        settings: Settings | None = None,
        vectors: str | Path | None = None,
        fresh: bool = False,
        progress: Progress = building.silent,
    ) -> Index:
        """Build an index of a corpus in a folder, or bring the one there up to date.

        Vectors that the folder's store holds already are not made again: a build that was killed
        goes on, and after a change of the corpus only new texts are encoded. `embedder=None`
        leaves the dense side out, `Settings(lexical=None)` BM25. `vectors` is a store elsewhere,
        which several indexes may share. `fresh` empties the store first.
        """
        documents = building.documents_of(corpus)
        encoder = embedder_named(embedder) if isinstance(embedder, str) else embedder
        building.build(
            documents,
            Path(folder),
            embedder=encoder,
            queries=list(corpus.queries.values()) if isinstance(corpus, Collection) else [],
            settings=settings or Settings(),
            vectors=Path(vectors) if vectors else None,
            fresh=fresh,
            progress=progress,
        )
        return cls(folder, embedder=encoder)

    def add(
        self,
        corpus: str | Path | Collection | Iterable[Text],
        *,
        progress: Progress = building.silent,
    ) -> Index:
        """The index with more documents; one whose id is there already replaces it."""
        return self._rebuilt(Added(self.documents, building.documents_of(corpus)), progress)

    def delete(self, ids: Sequence[str], *, progress: Progress = building.silent) -> Index:
        """The index without these documents; their vectors stay in the store."""
        return self._rebuilt(without(self.documents, ids, name=self.name), progress)

    def _rebuilt(self, documents: Iterable[Text], progress: Progress) -> Index:
        building.build(documents, self.folder, progress=progress, **self._as_built())
        return Index(self.folder, embedder=self._embedder)

    def _as_built(self) -> dict[str, Any]:
        return {
            "embedder": self.embedder if self.about["dense"] else None,
            "settings": Settings.recorded(self.about["settings"]),
            "vectors": self.about["vectors"] and Path(self.about["vectors"]),
        }

    @classmethod
    def merge(
        cls,
        indexes: Sequence[str | Path],
        folder: str | Path,
        *,
        progress: Progress = building.silent,
    ) -> Index:
        """Several indexes of one embedder as one, with the settings of the first.

        Nothing is encoded again. Raises `TextError` where two hold a document of one id.
        """
        parts = [cls(one) for one in indexes]
        if not parts:
            raise RetrievalError("name the indexes to merge")
        made = parts[0]._as_built()
        for part in parts:
            if part.modes != parts[0].modes:
                raise RetrievalError(
                    f"{part.name} is searched by {part.modes[-1]} and {parts[0].name} by "
                    f"{parts[0].modes[-1]}; merge indexes of one kind"
                )
        if made["embedder"] is not None:
            for part in parts:
                there, here = part.about["dense"]["embedder"], parts[0].about["dense"]["embedder"]
                if there["fingerprint"] != here["fingerprint"]:
                    raise RetrievalError(
                        f"{part.name} was made by {there['name']}@{there['fingerprint']} and "
                        f"{parts[0].name} by {here['name']}@{here['fingerprint']}; index one of "
                        "them again"
                    )
            made["embedder"] = Recalled(made["embedder"], [part.store for part in parts])
        documents = (document for part in parts for document in part.documents)
        building.build(documents, Path(folder), progress=progress, **{**made, "vectors": None})
        return cls(folder)

    @property
    def store(self) -> VectorStore:
        """The vectors of the documents, and of others that share the store."""
        return VectorStore(self._store_folder, embedder=self.embedder, dtype=None)

    @property
    def _store_folder(self) -> Path:
        return Path(self.about["vectors"] or self.folder / index_folder.VECTORS)

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
        fetched, count = min(k + AHEAD, len(self)), len(vectors)
        scores, rows = self._vectors.search(vectors, fetched, threads=threads)
        # A cut through documents of equal score would keep whichever FAISS met first.
        while fetched < len(self) and cut_through_equals(scores, k):
            fetched = min(fetched * 4, len(self))
            scores, rows = self._vectors.search(vectors, fetched, threads=threads)
        scores, rows = settle(scores, rows, self.tie_rank, k)
        whole = bool((rows >= 0).all())
        return [
            dict(zip(self.ids[row].tolist(), score.tolist(), strict=True))
            for score, row in (
                (scores[i], rows[i]) if whole else (scores[i][rows[i] >= 0], rows[i][rows[i] >= 0])
                for i in range(count)
            )
        ]

    def bm25(self, queries: Sequence[str], k: int) -> list[dict[str, float]]:
        """The `k` best documents of each query by their words: {document id: score}, best first.

        Only documents that share a word with the query.
        """
        if self._words is None:
            self.mode("bm25")
        assert self._words is not None
        found = self._words.search(queries, k, tie_rank=self.tie_rank)
        return [
            dict(zip(self.ids[rows].tolist(), scores.tolist(), strict=True))
            for rows, scores in found
        ]

    def retrieve(self, queries: Sequence[str], k: int) -> list[list[Text]]:
        """The `k` best passages of each query with `score` and `rank`, for plans (`ctx.search`)."""
        from llmaug.retrieval.search import search

        rankings: Rankings = search(self, list(queries), k=k)
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
