"""The searches that the rankings of one batch of queries share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llmaug.retrieval.fuse import Fusion

if TYPE_CHECKING:
    import numpy as np

    from llmaug.retrieval.index_reader import IndexReader

Ranking = dict[str, float]  # document id -> score, best first


class Encoder:
    """Encodes each text once, `batch` of them in a call, and keeps the vectors."""

    def __init__(self, encode: Callable[[Sequence[str]], np.ndarray], *, batch: int) -> None:
        self._encode, self._batch = encode, batch
        self._known: dict[str, np.ndarray] = {}

    def together(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors of texts encoded in one call: its company decides a vector's last bits."""
        vectors = self._encode(texts)
        self._known.update(zip(texts, vectors, strict=True))
        return vectors

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """One row per text, (n, d); only texts that were not met before are encoded."""
        import numpy as np

        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        for start in range(0, len(new), self._batch):
            self.together(new[start : start + self._batch])
        return np.stack([self._known[text] for text in texts])


class Asked:
    """A batch of queries with the expansions of each, [] where a query has none.

    `expanded` are those that have some, as (query, expansions), and everything but `plain` is in
    their order. What a plain search would do is done as it would, for the whole batch at once:
    FAISS computes a score differently in the last bit when the batch has another size.
    """

    def __init__(
        self,
        index: IndexReader,
        queries: Sequence[str],
        expansions: Sequence[Sequence[str]],
        *,
        encoder: Encoder,
        threads: int | None = None,
    ) -> None:
        self._index, self._queries, self._encoder = index, queries, encoder
        self._threads = threads
        self._places = [place for place, some in enumerate(expansions) if some]
        self._bare = [place for place, some in enumerate(expansions) if not some]
        self.expanded = [(queries[place], list(expansions[place])) for place in self._places]
        self._query_vectors: np.ndarray | None = None
        self._originals: dict[tuple[str, int], list[Ranking]] = {}

    def plain(self, mode: str, *, k: int, depth: int, fusion: Fusion) -> list[Ranking]:
        """What a plain search finds for each query without expansions."""
        if not self._bare:
            return []
        if mode != "hybrid":
            return [self._all(mode, k)[place] for place in self._bare]
        sides = [self._all(side, max(k, depth)) for side in ("dense", "bm25")]
        return [fusion.fuse([side[place] for side in sides]) for place in self._bare]

    def original(self, side: str, depth: int) -> list[Ranking]:
        """What each query finds by itself."""
        return [self._all(side, depth)[place] for place in self._places]

    def query_vectors(self) -> np.ndarray:
        """The vectors of the queries, (n, d)."""
        return self._vectors()[self._places]

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors of other texts on the side of queries, (n, d)."""
        return self._encoder.vectors(texts)

    def found_by(self, side: str, texts: Sequence[str], depth: int) -> list[Ranking]:
        """What each of these texts finds on one side; equal texts are searched once."""
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return []
        if side == "dense":
            found = self.near(self.vectors(distinct), depth)
        else:
            found = self._index.bm25(distinct, depth)
        of = dict(zip(distinct, found, strict=True))
        return [of[text] for text in texts]

    def near(self, vectors: np.ndarray, depth: int) -> list[Ranking]:
        """What each of these vectors finds."""
        return self._index.dense(vectors, depth, threads=self._threads) if len(vectors) else []

    def _vectors(self) -> np.ndarray:
        if self._query_vectors is None:
            self._query_vectors = self._encoder.together(self._queries)
        return self._query_vectors

    def _all(self, side: str, depth: int) -> list[Ranking]:
        if (side, depth) not in self._originals:
            self._originals[side, depth] = (
                self.near(self._vectors(), depth)
                if side == "dense"
                else self._index.bm25(self._queries, depth)
            )
        return self._originals[side, depth]
