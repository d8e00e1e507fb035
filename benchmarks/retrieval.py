"""Retrieval: quality on three collections, and speed beside the bare libraries.

    python -m benchmarks.retrieval quality DATA     # DATA: BEIR folders scifact, cranfield, vaswani
    python -m benchmarks.retrieval search           # la.search beside faiss.IndexFlatIP
    python -m benchmarks.retrieval encode CORPUS    # VectorStore.fill beside SentenceTransformer
    python -m benchmarks.retrieval evaluate         # la.evaluate beside pytrec_eval

Both sides of a pair do the same work in turn, `--repeats` times; the figure is the median of the
ratios of neighbours, with the smallest and the largest.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import llmaug as la
from llmaug import models
from llmaug.retrieval.vectors import VectorStore, key
from llmaug.text import Text

EXPECTED = {
    ("scifact", "dense"): 0.6492,
    ("scifact", "bm25"): 0.6762,
    ("scifact", "hybrid"): 0.7172,
    ("cranfield", "dense"): 0.3817,
    ("cranfield", "bm25"): 0.3517,
    ("vaswani", "dense"): 0.4335,
    ("vaswani", "bm25"): 0.4449,
}


def quality(data: Path, work: Path) -> None:
    """nDCG@10 and R@100 of the three modes on each collection, beside what was measured by hand."""
    for name in ("scifact", "cranfield", "vaswani"):
        collection = la.Collection.read(data / name)
        index = la.Index.build(collection, work / name)
        for mode in index.modes:
            rankings = la.search(index, collection.queries, k=1000, mode=mode)
            means = la.evaluate(rankings, collection.qrels, ["nDCG@10", "R@100"]).mean
            wanted = EXPECTED.get((name, mode))
            beside = f"expected {wanted:.4f} ({means['nDCG@10'] - wanted:+.4f})" if wanted else ""
            print(f"{name:10} {mode:7} nDCG@10 {means['nDCG@10']:.4f} R@100 {means['R@100']:.4f}"
                  f"  {beside}", flush=True)  # fmt: skip


class Given:
    """An embedder that only looks vectors up: what is left is the search."""

    name, fingerprint, batch = "given", "0" * 12, 4096
    parameters: ClassVar[dict[str, Any]] = {}

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors

    def prompt(self, side: str) -> str:
        return ""

    def encode(self, texts: Sequence[str], *, side: str = "") -> np.ndarray:
        return self.vectors[[int(text) if text.isdigit() else 0 for text in texts]]


def search(*, documents: int, queries: int, k: int, repeats: int) -> None:
    """Queries in batches of 64 against 384 dimensions: la.search and raw FAISS."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((documents + queries, 384), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    asked = {str(i): str(documents + i) for i in range(queries)}
    with tempfile.TemporaryDirectory() as scratch:
        corpus = [Text(str(i), f"d{i}", f"d{i}") for i in range(documents)]
        settings = la.Settings(factory="Flat", lexical=None)
        index = la.Index.build(corpus, scratch, embedder=Given(vectors), settings=settings)
        # The very same vectors: where those of a second copy come to lie in memory makes it up to
        # a quarter faster or slower.
        bare = index._vectors.faiss_index

        def raw() -> None:
            for start in range(documents, documents + queries, 64):
                bare.search(vectors[start : start + 64], k)

        compared(
            f"search of {documents:,} x 384, k={k}, {queries:,} queries in batches of 64",
            raw,
            lambda: la.search(index, asked, k=k, mode="dense", batch=64),
            repeats=repeats,
        )


def encode(corpus: Path, *, documents: int, repeats: int) -> None:
    """The first documents of a corpus with MiniLM: the store, and the model on the same calls."""
    from sentence_transformers import SentenceTransformer

    embedder = la.embedder("minilm", device="cpu")
    embedder.encode(["warm"])
    folder = str(models.where("minilm"))
    model = SentenceTransformer(folder, device="cpu", local_files_only=True)
    from llmaug.retrieval.documents import contents

    read = itertools.islice(la.Collection.read(corpus).documents, documents)
    texts = sorted({contents(document) for document in read}, key=len, reverse=True)
    keys = np.frombuffer(b"".join(map(key, texts)), dtype="V16")

    def bare() -> None:
        for start in range(0, len(texts), embedder.batch):
            model.encode(
                texts[start : start + embedder.batch],
                batch_size=embedder.batch_size,
                normalize_embeddings=True,
            )

    def ours() -> None:
        with tempfile.TemporaryDirectory() as scratch:
            store = VectorStore(scratch, embedder=embedder)
            assert store.fill(lambda places: [texts[i] for i in places], keys) == len(texts)

    compared(f"encoding {len(texts):,} documents with MiniLM", bare, ours, repeats=repeats)


def evaluate(*, queries: int, depth: int, repeats: int) -> None:
    """A run file from disk to means: la.evaluate, and pytrec_eval with its own parser."""
    import pytrec_eval

    rng = random.Random(0)
    qrels = {
        f"q{q}": {f"d{rng.randrange(100_000)}": rng.randrange(3) for _ in range(50)}
        for q in range(queries)
    }
    measures = ["nDCG@10", "R@100", "RR@10", "MAP", "P@5"]
    theirs = {"ndcg_cut.10", "recall.100", "recip_rank", "map", "P.5"}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "run.trec"
        with path.open("w") as lines:
            for q in range(queries):
                found = rng.sample(range(100_000), depth)
                for rank, d in enumerate(found, 1):
                    lines.write(f"q{q} Q0 d{d} {rank} {1.0 / rank:.9g} bench\n")

        def bare() -> None:
            with path.open() as lines:
                run = pytrec_eval.parse_run(lines)
            scores = pytrec_eval.RelevanceEvaluator(qrels, theirs).evaluate(run)
            {m: statistics.fmean(s[m] for s in scores.values()) for m in scores["q0"]}

        compared(
            f"evaluation of a run of {queries * depth:,} lines",
            bare,
            lambda: la.evaluate(path, qrels, measures),
            repeats=repeats,
        )


def compared(
    what: str, bare: Callable[[], object], ours: Callable[[], object], *, repeats: int
) -> None:
    """Run both in turn and print the ratio of their times: above 1, ours is slower.

    Beside the time on the clock that of the processors, which other work on the machine disturbs
    less.
    """
    clock, processors = [], []
    bare(), ours()  # both warm
    for repeat in range(repeats):
        taken: dict[int, tuple[float, float]] = {}
        # Whoever goes second finds the caches of the first: take turns at that too.
        for side in (0, 1) if repeat % 2 else (1, 0):
            began, busy = time.perf_counter(), time.process_time()
            (bare, ours)[side]()
            taken[side] = time.perf_counter() - began, time.process_time() - busy
        clock.append((taken[0][0], taken[1][0]))
        processors.append((taken[0][1], taken[1][1]))
    print(f"{what}, {repeats} pairs")
    for kind, pairs in (("clock", clock), ("processors", processors)):
        ratios = [mine / theirs for theirs, mine in pairs]
        theirs, mine = (statistics.median(side) for side in zip(*pairs, strict=True))
        print(
            f"  {kind}: bare {theirs:.2f} s, llmaug {mine:.2f} s, ratio "
            f"{statistics.median(ratios):.3f} (from {min(ratios):.3f} to {max(ratios):.3f})",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["quality", "search", "encode", "evaluate"])
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--work", type=Path, help="where quality keeps its indexes")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--documents", type=int)
    parser.add_argument("-k", type=int, default=100)
    arguments = parser.parse_args()
    if arguments.what in ("quality", "encode") and arguments.data is None:
        parser.error(f"{arguments.what} needs the folder to measure on")
    if arguments.what == "quality":
        with tempfile.TemporaryDirectory() as scratch:
            quality(arguments.data, arguments.work or Path(scratch))
    elif arguments.what == "search":
        search(
            documents=arguments.documents or 100_000,
            queries=256,
            k=arguments.k,
            repeats=arguments.repeats,
        )
    elif arguments.what == "encode":
        encode(arguments.data, documents=arguments.documents or 1024, repeats=arguments.repeats)
    else:
        evaluate(queries=1000, depth=1000, repeats=arguments.repeats)


if __name__ == "__main__":
    main()
