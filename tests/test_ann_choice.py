"""Which index is chosen for a corpus, and whether it takes the memory that was foretold."""

from __future__ import annotations

import numpy as np
import pytest

from llmaug.errors import RetrievalError
from llmaug.retrieval.ann import VectorIndex
from llmaug.retrieval.ann_choice import choose, list_count, memory_needed

pytest.importorskip("faiss", reason="needs the extra retrieval")
GB = 10**9
COUNT, DIMENSION = 3_000, 32
VECTORS = np.random.default_rng(0).standard_normal((COUNT, DIMENSION), dtype=np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


@pytest.mark.parametrize(
    "factory",
    ["Flat", "IDMap2,HNSW16", "HNSW32_SQ8", "IVF16,Flat", "IVF16_HNSW8,SQ4", "IVF16,PQ8x4fs",
     "IVF16,PQ16x4fs,RFlat", "PCAR16,IVF16,Flat", "SQ8", "PQ4", "RR16,SQ8,Refine(SQfp16)"],
)  # fmt: skip
def test_the_memory_needed_is_that_of_the_file_within_a_fifth(tmp_path, factory):
    path = tmp_path / "vectors.faiss"
    VectorIndex.build(
        lambda start, stop: VECTORS[start:stop], COUNT, DIMENSION, factory=factory, threads=1
    ).save(path)
    assert memory_needed(factory, COUNT, DIMENSION) == pytest.approx(path.stat().st_size, rel=0.2)


@pytest.mark.parametrize(
    ("count", "dimension", "memory", "factory"),
    [
        (10, 384, 1, "Flat"),
        (100_000, 384, GB, "Flat"),
        (100_001, 384, GB, "HNSW32"),
        (1_000_000, 384, 2 * GB, "HNSW32"),
        (1_000_000, 384, 1_700_000_000, "IVF4096,Flat"),
        (1_000_000, 384, GB, "IVF4096,SQ8"),
        (1_000_000, 384, GB // 4, "IVF4096,PQ192x4fs"),
        (1_000_000, 127, GB // 10, "IVF4096,SQ4"),
        (10_000_000, 384, 20 * GB, "IVF16384_HNSW32,PQ192x4fs,RFlat"),
        (10_000_000, 384, GB, "IVF16384_HNSW32,PQ96x4fs"),
    ],
)
def test_the_choice_follows_size_and_memory(count, dimension, memory, factory):
    assert choose(count, dimension, memory=memory) == factory


def test_a_corpus_beyond_the_memory_is_said():
    with pytest.raises(RetrievalError, match=r"need 5.8 GB at least and 1.0 GB may be used"):
        choose(100_000_000, 384, memory=GB)
    assert choose(200_000, 8).startswith(("HNSW", "IVF"))
    with pytest.raises(RetrievalError, match="'LSH' takes is not known"):
        memory_needed("LSH", 10, 8)


@pytest.mark.parametrize("count", [1, 40, 5_000, 200_000, 10**6, 10**8])
def test_lists_are_a_power_of_two_with_enough_points(count):
    lists = list_count(count)
    assert lists & (lists - 1) == 0
    assert lists == 1 or count / lists >= 39
    assert lists <= 16 * count**0.5
