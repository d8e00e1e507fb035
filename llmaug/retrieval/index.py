"""An index over a corpus: its documents, their vectors under FAISS, and their words under BM25."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from llmaug.embedders.embed import embedder as embedder_named
from llmaug.errors import RetrievalError
from llmaug.request import Embedder
from llmaug.retrieval import building, index_folder
from llmaug.retrieval.collection import Collection
from llmaug.retrieval.dense import Progress
from llmaug.retrieval.index_reader import IndexReader
from llmaug.retrieval.revision import Added, Recalled, refuse_mixture, without
from llmaug.retrieval.settings import Settings
from llmaug.retrieval.vectors import VectorStore
from llmaug.text import Text


class Index(IndexReader):
    """An index on disk that can be built, opened, searched and changed; see `IndexReader`.

    A change puts a new edition into force at one stroke; readers that are open keep the old one
    until they open the folder again.
    """

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        embedder: Embedder | str | None = None,
        device: str | None = None,
        base_url: str | None = None,
    ) -> Index:
        """The index in a folder."""
        return cls(folder, embedder=embedder, device=device, base_url=base_url)

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
        if settings is not None and not isinstance(settings, Settings):
            raise RetrievalError(f"settings are llmaug.Settings(…), not {settings!r}")
        if isinstance(corpus, str | Path):
            corpus = Collection.read(corpus)
        encoder = embedder_named(embedder) if isinstance(embedder, str) else embedder
        building.build(
            building.documents_of(corpus),
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
        gone = [ids] if isinstance(ids, str) else ids
        return self._rebuilt(without(self.documents, gone, name=self.name), progress)

    def _rebuilt(self, documents: Iterable[Text], progress: Progress) -> Index:
        building.build(
            documents,
            self.folder,
            replaces=self.edition.name,
            progress=progress,
            **self._as_built(),
        )
        return Index(self.folder, embedder=self._embedder or self._given)

    def _as_built(self) -> dict[str, Any]:
        return {
            # The store must be where it was, or all that it holds would be encoded again.
            "embedder": self.store.embedder if self.about["dense"] else None,
            "settings": Settings.recorded(self.about["settings"]),
            "queries": self.queries,
            "vectors": self.about["vectors"] and self.folder / self.about["vectors"],
        }

    @property
    def store(self) -> VectorStore:
        """The vectors of the documents, and of others that share the store."""
        where = self.folder / (self.about["vectors"] or index_folder.VECTORS)
        return VectorStore(where, embedder=self.embedder, dtype=None, create=False)

    @classmethod
    def merge(
        cls,
        indexes: Sequence[str | Path],
        folder: str | Path,
        *,
        embedder: Embedder | str | None = None,
        progress: Progress = building.silent,
    ) -> Index:
        """Several indexes of one embedder as one, with the settings of the first.

        Nothing is encoded again. Raises `TextError` where two hold a document of one id.
        """
        if isinstance(indexes, str | Path):
            raise RetrievalError(f"give a list of indexes to merge, not {indexes} alone")
        parts = [cls(one, embedder=embedder) for one in indexes]
        refuse_mixture([(part.name, part.about) for part in parts])
        target = Path(folder)
        if index_folder.is_index(target) and not any(target.samefile(one) for one in indexes):
            raise RetrievalError(
                f"{folder} holds an index that is not among those to merge; name another folder"
            )
        made = {**parts[0]._as_built(), "vectors": None}
        if made["embedder"] is not None:
            for part in parts:
                part._embedder = parts[0].embedder  # loaded once
            made["embedder"] = Recalled(parts[0].embedder, [part.store for part in parts])
        documents = (document for part in parts for document in part.documents)
        building.build(documents, Path(folder), progress=progress, **made)
        return cls(folder, embedder=parts[0]._embedder)
