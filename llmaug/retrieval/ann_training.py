"""Vectors on their way into a FAISS index: read in blocks, checked, sampled for training."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from llmaug.errors import RetrievalError
from llmaug.retrieval.ann_layers import layers

if TYPE_CHECKING:
    import numpy as np

Blocks = Callable[[int, int], "np.ndarray"]
"""Vectors by row number: `blocks(start, stop)` gives (stop - start, d) float32, unit length."""

BLOCK_BYTES = 2**26  # of vectors in memory at once
FEWEST_SAMPLED = 65_536  # for whatever learns without centroids: PCA, scalar quantisers
BYTE_CENTROIDS = 256  # of a code of 8 bits
OPQ_CENTROIDS = 39 * BYTE_CENTROIDS  # OPQ learns such a code too, and with fewer points badly


def spans(start: int, stop: int, *, dimension: int) -> Iterator[tuple[int, int]]:
    """Pieces of a range of rows that fit in memory; the same for the same range and dimension."""
    step = max(1, BLOCK_BYTES // (4 * dimension))
    return ((at, min(at + step, stop)) for at in range(start, stop, step))


def read_block(blocks: Blocks, start: int, stop: int, *, dimension: int) -> np.ndarray:
    """Rows as contiguous float32; raises `RetrievalError` for another shape, NaN or infinity."""
    block = blocks(start, stop)
    if block.shape != (stop - start, dimension):
        raise RetrievalError(
            f"the vectors of rows {start:,} to {stop - 1:,} have the shape {block.shape}, not "
            f"({stop - start}, {dimension}); fill the vector store again"
        )
    return finite(block, what="the vector of row", first=start)


def finite(vectors: np.ndarray, *, what: str, first: int = 0) -> np.ndarray:
    """The vectors as contiguous float32; raises `RetrievalError` naming one with NaN or infinity.

    `what` says in that message what is numbered, and `first` is the number of the first vector.
    """
    import numpy as np

    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    # A sum over all is finite nearly always; only otherwise is every value looked at.
    with np.errstate(over="ignore", invalid="ignore"):
        total = vectors.sum()
    if not np.isfinite(total):
        wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(wrong):
            raise RetrievalError(
                f"{what} {first + int(wrong[0]):,} holds NaN or infinity ({len(wrong):,} such "
                "vectors); leave its text out or use another embedder"
            )
    return vectors


def refuse_too_few(factory: str, count: int) -> None:
    """Raise `RetrievalError` where there are fewer vectors than centroids to be learned."""
    if count < (fewest := max(_centroids(factory), default=1)):
        raise RetrievalError(
            f"{factory} needs at least {fewest:,} vectors to be trained on and there are "
            f"{count:,}; use Flat, which is exact and fast for so few"
        )


def train(index: Any, blocks: Blocks, *, count: int, factory: str, seed: int) -> None:
    """Let an untrained index learn its centroids from a seeded sample of rows, read in order."""
    if index.is_trained:
        return
    for layer in layers(index):
        quantizers = [getattr(layer, name) for name in ("pq", "rq", "lsq") if hasattr(layer, name)]
        for learner in (layer, *quantizers):
            if hasattr(learner, "cp"):
                learner.cp.seed = seed
                # How good few points are is measured afterwards; FAISS would warn on stderr.
                learner.cp.min_points_per_centroid = 1
        if hasattr(layer, "do_polysemous_training"):
            # Slow, and of use only to searches by Hamming distance, which are not made here.
            layer.do_polysemous_training = False
        if hasattr(layer, "nlist"):
            layer.cp.spherical = True  # inner product: centroids on the sphere as well
    wanted = max([FEWEST_SAMPLED, *(each * _points(each) for each in _centroids(factory))])
    index.train(sample(blocks, count=count, size=wanted, dimension=index.d, seed=seed))


def sample(blocks: Blocks, *, count: int, size: int, dimension: int, seed: int) -> np.ndarray:
    """The vectors of `sampled_rows`, (size, d)."""
    import numpy as np

    rows = sampled_rows(count, size=size, seed=seed)
    vectors = np.empty((len(rows), dimension), dtype=np.float32)
    for start, stop in spans(0, count, dimension=dimension):
        low, high = np.searchsorted(rows, (start, stop))
        if low < high:
            block = read_block(blocks, start, stop, dimension=dimension)
            vectors[low:high] = block[rows[low:high] - start]
    return vectors


def sampled_rows(count: int, *, size: int, seed: int) -> np.ndarray:
    """Row numbers drawn without replacement, ascending; all of them where `size` is no less."""
    import numpy as np

    if size >= count:
        return np.arange(count, dtype=np.int64)
    drawn = np.random.default_rng(seed).choice(count, size, replace=False, shuffle=False)
    return np.sort(drawn.astype(np.int64))


def _centroids(factory: str) -> list[int]:
    """How many vectors at least each part of the description learns from: one a centroid."""
    counts = [int(lists) for lists in re.findall(r"IVF([0-9]+)", factory)]
    for bits in re.findall(r"(?<!O)(?:PQ|RQ|LSQ)[0-9]+(?:x([0-9]+))?", factory):
        counts.append(2 ** min(int(bits or 8), 32))
    return [*counts, OPQ_CENTROIDS] if "OPQ" in factory else counts


def _points(centroids: int) -> int:
    """Training points for each centroid: FAISS wants 39 or more and uses at most 256."""
    if centroids <= BYTE_CENTROIDS:
        return 256
    return 100 if centroids <= 16_384 else 40
