"""The documents of an index by their ids: what their texts are, and what a query scores there."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from llmaug.errors import RetrievalError
from llmaug.formats.fields import short
from llmaug.retrieval.documents import contents
from llmaug.retrieval.index import Index
from llmaug.retrieval.vectors import key
from llmaug.training.mined import Scores
from llmaug.training.pairs import Pair

if TYPE_CHECKING:
    import numpy as np

SHOWN = 5  # ids in a message
HELD = 1 << 16  # keys of documents kept for the next query


class IndexedDocuments:
    """An index whose documents are looked up by their ids.

    Memory: an entry of a table for every id, and nothing else that grows with the corpus.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self.place = {id: place for place, id in enumerate(index.documents.ids)}
        self.key = functools.lru_cache(maxsize=HELD)(self._key)
        self._store = index.store if "dense" in index.modes else None

    def __contains__(self, id: str) -> bool:
        return id in self.place

    def __len__(self) -> int:
        return len(self.place)

    def text(self, id: str) -> str:
        """What is embedded of a document: its title and its text."""
        return contents(self.index.documents[self.place[id]])

    def _key(self, id: str) -> bytes:
        """What the text of a document is filed under: the same for equal texts."""
        return key(self.text(id))

    def encode(self, queries: Sequence[str]) -> list[np.ndarray | None]:
        """The vector of each query; None where the index has no dense side."""
        if self._store is None or not queries:
            return [None] * len(queries)
        return list(self.index.encode(queries))

    def scores(self, query: str, ids: Sequence[str], *, vector: np.ndarray | None) -> list[Scores]:
        """The cosine and the BM25 score of a query, of this vector, and each of these documents.

        Whatever an approximate index found, the cosine is that of the stored vectors.
        """
        cosines: Sequence[float | None] = [None] * len(ids)
        words: Sequence[float | None] = [None] * len(ids)
        if vector is not None:
            # Row by row, since a matrix product may round otherwise with other rows beside.
            cosines = (self._vectors(ids) * vector).sum(axis=1).tolist()
        if self.index.lexical is not None:
            found = self.index.lexical.scores(query)
            words = found[[self.place[id] for id in ids]].tolist()
        return [Scores(dense, bm25) for dense, bm25 in zip(cosines, words, strict=True)]

    def _vectors(self, ids: Sequence[str]) -> np.ndarray:
        import numpy as np

        assert self._store is not None
        rows = self._store.rows(np.frombuffer(b"".join(map(self.key, ids)), dtype="V16"))
        if (rows < 0).any():
            raise RetrievalError(
                f"the vector store {self._store.folder} lacks document "
                f"{short(ids[int(rows.argmin())])!r} of {self.index.name}; build the index again"
            )
        return self._store.block(rows)

    def refuse_others(self, pairs: Iterable[Pair]) -> None:
        """Raise `RetrievalError` with the ids of pairs whose document is not in the index."""
        lost = [pair for pair in pairs if pair.document_id not in self.place]
        if lost:
            named = ", ".join(
                f"{short(pair.query_id)} → {short(pair.document_id)}" for pair in lost[:SHOWN]
            )
            raise RetrievalError(
                f"{self.index.name} lacks the documents of {len(lost):,} pairs (query → document: "
                f"{named}{', …' * (len(lost) > SHOWN)}); give the index of the pairs' own corpus"
            )
