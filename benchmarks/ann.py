"""What each kind of FAISS index loses and gains on a million vectors.

    python -m benchmarks.ann [--count 1000000] [--dimension 128] [--threads 2]

Synthetic vectors: 10,000 clusters of very different size on the unit sphere, with 1,000 queries
drawn from the same clusters and not in the index. For every kind: seconds to build, size,
recall@10 against exact search and queries/s at FAISS's usual effort, and at the least effort that
reaches a recall of 0.95.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from llmaug.retrieval.ann import VectorIndex
from llmaug.retrieval.ann_exact import exact_answers
from llmaug.retrieval.ann_recall import Recall, measure_recall, tune

KINDS = ("Flat", "HNSW32", "IVF4096,Flat", "IVF4096,PQ64x4fs", "IVF4096,PQ64x4fs,RFlat")
CLUSTERS, BLOCK = 10_000, 50_000


def clustered(path: Path, count: int, dimension: int) -> np.ndarray:
    """A memory-mapped file of unit vectors; the last 1,000 are the queries."""
    rng = np.random.default_rng(7)
    centres = rng.standard_normal((CLUSTERS, dimension), dtype=np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    weight = rng.pareto(1.5, CLUSTERS) + 0.1
    vectors = np.memmap(path, dtype=np.float32, mode="w+", shape=(count + 1000, dimension))
    for start in range(0, len(vectors), BLOCK):
        size = min(BLOCK, len(vectors) - start)
        of = rng.choice(CLUSTERS, size, p=weight / weight.sum())
        noise = rng.standard_normal((size, dimension), dtype=np.float32) * (0.8 / dimension**0.5)
        block = centres[of] + noise
        vectors[start : start + size] = block / np.linalg.norm(block, axis=1, keepdims=True)
    return vectors


def said(recall: Recall) -> str:
    return f"{recall.recall:.3f} ({recall.per_second:,.0f}/s)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    count, dimension = arguments.count, arguments.dimension
    with tempfile.TemporaryDirectory() as scratch:
        vectors = clustered(Path(scratch) / "vectors.bin", count, dimension)

        def blocks(start: int, stop: int) -> np.ndarray:
            return np.asarray(vectors[start:stop])

        answers = exact_answers(
            blocks,
            count,
            dimension,
            queries=np.array(vectors[count:]),
            threads=arguments.threads,
        )
        print(f"exact search, streamed from disk: {answers.per_second:,.0f} queries/s", flush=True)
        for factory in KINDS:
            began = time.monotonic()
            index = VectorIndex.build(
                blocks, count, dimension, factory=factory, threads=arguments.threads
            )
            seconds = time.monotonic() - began
            path = Path(scratch) / "index.faiss"
            index.save(path)
            usual = measure_recall(index, answers, threads=arguments.threads)
            tuned = tune(index, answers, min_recall=0.95, threads=arguments.threads)
            at = f"{index.effort_name}={tuned.recall.effort} " if index.effort_name else ""
            missed = "" if tuned.reached else ", 0.95 not reached"
            print(
                f"| {factory} | {seconds:,.0f} | {path.stat().st_size / 1e6:,.0f} | "
                f"{said(usual)} | {at}{said(tuned.recall)}{missed} |",
                flush=True,
            )
            path.unlink()
            del index
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"peak memory {peak:.1f} GB", flush=True)


if __name__ == "__main__":
    main()
