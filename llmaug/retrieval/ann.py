"""Vectors that can be searched by inner product: one FAISS index, its rows numbered from 0."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug.errors import RetrievalError
from llmaug.retrieval.ann_file import read_index, write_index
from llmaug.retrieval.ann_layers import (
    complaint,
    effort_name,
    empty_index,
    faiss_library,
    kinds_of,
    largest_effort,
    layers,
    search_parameters,
    threads_of_faiss,
    usual_effort,
)
from llmaug.retrieval.ann_training import Blocks, finite, read_block, refuse_too_few, spans, train

if TYPE_CHECKING:
    import numpy as np

AGAIN = "build the index again"
Progress = Callable[[int, int], None]  # rows added so far, of how many


class VectorIndex:
    """A FAISS index of unit vectors.

    `factory` is the description it was built from, `effort` how hard a search looks where it is
    not told: nprobe, efSearch or k_factor, whichever `effort_name` says. Searching changes
    nothing, so several threads may search at once.
    """

    def __init__(self, index: Any, *, factory: str, effort: int | None = None) -> None:
        self.faiss_index, self.factory = index, factory
        self.effort_name = effort_name(index)
        self.largest_effort = largest_effort(index)
        self.effort = effort or usual_effort(index)

    @classmethod
    def build(
        cls,
        blocks: Blocks,
        count: int,
        dimension: int,
        *,
        factory: str = "Flat",
        threads: int | None = None,
        seed: int = 1234,
        progress: Progress | None = None,
    ) -> VectorIndex:
        """The index of `count` vectors, which are read in blocks and never all held beside it.

        `factory` is any FAISS index description for inner products. With one thread the same
        vectors, description and seed give the same file, byte for byte; with several, graphs and
        centroids may differ a little. Raises `RetrievalError` for a description that is none or
        does not fit the dimension, for too few vectors to train on, and for NaN or infinity.
        """
        if count < 1:
            raise RetrievalError("there are no vectors to index; the corpus is empty")
        refuse_too_few(factory, count)
        built = cls(empty_index(factory, dimension), factory=factory)
        with threads_of_faiss(threads), _explained(f"cannot build {factory}"):
            train(built.faiss_index, blocks, count=count, factory=factory, seed=seed)
        built.add(blocks, count, threads=threads, progress=progress)
        return built

    def add(
        self,
        blocks: Blocks,
        count: int,
        *,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Append the rows from `len(self)` up to `count`, which `blocks` numbers as the index does.

        What the index learned when it was built stays: where the new vectors are of another kind,
        recall suffers. Raises `RetrievalError` for kinds that cannot grow (NSG).
        """
        import numpy as np

        faiss, nested = faiss_library(), layers(self.faiss_index)
        before = len(self)
        pieces = spans(before, count, dimension=self.dimension)
        if isinstance(nested[-1], faiss.IndexNSG):  # its graph is made from all vectors at once
            if before:
                raise RetrievalError(f"{self.factory} cannot take more vectors; {AGAIN}")
            pieces = iter([(before, count)])
        numbered = any(isinstance(layer, faiss.IndexIDMap) for layer in nested)
        with threads_of_faiss(threads), _explained(f"cannot build {self.factory}"):
            for start, stop in pieces:
                block = read_block(blocks, start, stop, dimension=self.dimension)
                if numbered:
                    self.faiss_index.add_with_ids(block, np.arange(start, stop, dtype=np.int64))
                else:
                    self.faiss_index.add(block)
                if progress is not None:
                    progress(stop - before, count - before)

    def search(
        self,
        vectors: np.ndarray,
        k: int,
        *,
        effort: int | None = None,
        threads: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The nearest rows of each query vector, best first: scores (q, k), row numbers (q, k).

        `k` shrinks to the size of the index. Where an approximate search finds fewer, the rest
        is row -1 with score -inf. Scores are inner products, approximate where vectors are
        stored compressed and not refined; FAISS breaks ties in no particular order, and may
        compute one pair's score differently in the last bit in a batch of 20 or more queries.
        `threads` holds for the calling thread while it searches.
        """
        import numpy as np

        if vectors.ndim != 2 or vectors.shape[1] != self.dimension:
            raise RetrievalError(
                f"the index has {self.dimension} dimensions, the query vectors "
                f"{vectors.shape[-1]}: another embedder made it"
            )
        effort = min(self.effort if effort is None else effort, self.largest_effort)
        for name, value in (("k", k), ("the effort", effort)):
            if value < 1:
                raise RetrievalError(f"{name} must be at least 1, not {value}")
        queries = finite(vectors, what="the vector of query number", first=1)
        k = min(k, len(self))
        parameters = search_parameters(self.faiss_index, effort)
        with threads_of_faiss(threads), _explained(f"cannot search {self.factory}"):
            scores, rows = self.faiss_index.search(queries, k, params=parameters)
        if rows.size and int(rows.max()) >= len(self):
            raise RetrievalError(f"{self.factory} holds a row that does not exist; {AGAIN}")
        scores[rows < 0] = -np.inf
        return scores, rows

    def save(self, path: Path) -> None:
        """Write the index as one FAISS file; the file appears whole or not at all."""
        write_index(self.faiss_index, path)

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        factory: str = "",
        count: int | None = None,
        dimension: int | None = None,
        effort: int | None = None,
    ) -> VectorIndex:
        """Read a file that `save` wrote, and only after `sealed.check` found it unchanged.

        Raises `RetrievalError` for what FAISS cannot read and for an index of another kind, metric,
        number of vectors or dimension than given here.
        """
        found = read_index(path)
        kinds = kinds_of(found)
        expected = kinds_of(empty_index(factory, found.d)) if factory else kinds
        for what, is_so, should_be in (
            ("is of the kind", kinds, expected),
            ("holds as many vectors as", found.ntotal, count),
            ("has as many dimensions as", found.d, dimension),
        ):
            if should_be is not None and is_so != should_be:
                raise RetrievalError(f"{path} {what} {is_so}, not {should_be}; {AGAIN}")
        return cls(found, factory=factory or kinds, effort=effort)

    @property
    def dimension(self) -> int:
        return int(self.faiss_index.d)

    def __len__(self) -> int:
        return int(self.faiss_index.ntotal)

    def __str__(self) -> str:
        effort = f", {self.effort_name} {self.effort}" if self.effort_name else ""
        return f"{self.factory}, {self.dimension} dimensions, {len(self):,} vectors{effort}"


def check_factory(factory: str, *, count: int, dimension: int) -> None:
    """Raise `RetrievalError` for a description that is none, or asks for more vectors."""
    refuse_too_few(factory, count)
    empty_index(factory, dimension)


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """FAISS's exceptions as one line."""
    try:
        yield
    except MemoryError:
        raise RetrievalError(f"FAISS {what}: not enough memory; choose a smaller kind") from None
    except RuntimeError as error:
        raise RetrievalError(f"FAISS {what}: {complaint(error)}") from None
