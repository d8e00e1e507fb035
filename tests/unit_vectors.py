"""Random unit vectors, queries, and FAISS indexes of them in one thread."""

from __future__ import annotations

import numpy as np

from llmaug.retrieval.ann import VectorIndex

COUNT, DIMENSION = 2_000, 32
KINDS = [
    "Flat",
    "IDMap2,HNSW16",
    "HNSW16_SQ8",
    "IVF16,Flat",
    "IVF16_HNSW8,SQ8",
    "IVF16,PQ16x4fs,RFlat",
    "PCAR24,IVF16,Flat,Refine(SQfp16)",
    "SQ8",
    "PQ4",
    "IVF16,RaBitQ",
]


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


VECTORS = unit(np.random.default_rng(0).standard_normal((COUNT, DIMENSION), dtype=np.float32))
QUERIES = unit(np.random.default_rng(1).standard_normal((25, DIMENSION), dtype=np.float32))


def rows_of(vectors):
    return lambda start, stop: vectors[start:stop]


def build(factory="Flat", vectors=VECTORS, **options):
    options = {"threads": 1} | options
    count, dimension = vectors.shape
    return VectorIndex.build(rows_of(vectors), count, dimension, factory=factory, **options)
