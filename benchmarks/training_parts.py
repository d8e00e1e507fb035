"""What the training benchmark works on: starts, pairs, indexes, and measuring a model."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import llmaug as la
from llmaug.embedders.sentence import SentenceEmbedder
from llmaug.retrieval.collection import contents
from llmaug.training.dev import DevSet
from llmaug.training.leakage import answering, leaks, without_leaks
from llmaug.training.near_duplicates import without_near_duplicates
from llmaug.training.pairs import Pair, pairs_of, read_pairs
from llmaug.training.screening import screened, without_repeats

OTHERS = ("cranfield", "vaswani")
MEASURE = "nDCG@10"
FEW = 150  # human pairs, where there are few


@dataclass(frozen=True)
class Bench:
    """The folders of a benchmark: collections, synthetic pairs, and what is kept between runs."""

    data: Path
    synthetic: Path
    work: Path
    bf16: bool

    def collection(self, name: str = "scifact", split: str = "test") -> la.Collection:
        return la.Collection.read(self.data / name, split=split)

    @functools.cache  # noqa: B019  (one for the process)
    def documents(self, name: str = "scifact") -> tuple[tuple[str, str], ...]:
        return tuple((one.id, contents(one)) for one in self.collection(name).documents)

    def start(self, name: str) -> Path:
        """MiniLM as it is, or its word embeddings alone, averaged: the weak start."""
        minilm = la.embedder("minilm")
        assert isinstance(minilm, SentenceEmbedder)
        if name == "minilm":
            return minilm.folder
        folder = self.work / "start-words"
        if not folder.exists():
            from sentence_transformers import SentenceTransformer
            from sentence_transformers.sentence_transformer.modules import (
                Normalize,
                StaticEmbedding,
            )

            whole = SentenceTransformer(str(minilm.folder), device="cpu")
            words = whole[0].auto_model.embeddings.word_embeddings.weight.detach().clone()
            static = StaticEmbedding(whole.tokenizer.backend_tokenizer, embedding_weights=words)
            SentenceTransformer(modules=[static, Normalize()]).save(str(folder))
        return folder

    def index(self, start: str) -> la.Index:
        """SciFact under a start and BM25, in which negatives are mined."""
        folder = self.work / f"index-{start}"
        embedder = self.embedder(self.start(start))
        if (folder / "index.json").exists():
            return la.Index.open(folder, embedder=embedder)
        corpus = self.collection()
        bare = la.Collection(corpus.name, corpus.documents)
        return la.Index.build(bare, folder, embedder=embedder)

    def embedder(self, folder: Path) -> la.Embedder:
        return Bfloat16(folder) if self.bf16 else la.embedder(str(folder))

    @functools.cache  # noqa: B019
    def pairs(self, name: str) -> tuple[Pair, ...]:
        """Human pairs as published, those without what is near the test, a few of these, or
        synthetic ones.
        """
        if name == "human_few":
            return tuple(random.Random(0).sample(self.pairs("human_clean"), FEW))
        test = self.collection()
        if name.startswith("human"):
            pairs = pairs_of(self.collection(split="train"))
            if name == "human":
                return tuple(pairs)
            answers = answering(test.qrels)
            pairs = [pair for pair in pairs if pair.document_id not in answers]
            return tuple(without_leaks(pairs, leaks(pairs, test.judged_queries)).kept)
        else:
            pairs = without_repeats(read_pairs(self.synthetic)).kept
            index = self.index("minilm")
            found = index.search({pair.query_id: pair.query for pair in pairs}, k=20, mode="bm25")
            lost = (
                "" if p.document_id in found[p.query_id] else "not in the top 20" for p in pairs
            )
            pairs = screened(pairs, lost).kept
            pairs = without_near_duplicates(pairs, index.embedder, max=0.95).kept
        leakage = leaks(
            pairs,
            test.judged_queries,
            qrels=test.qrels,
            embedder=self.index("minilm").embedder,
        )
        return tuple(without_leaks(pairs, leakage).kept)

    def measured(self, model: Path, *, collections: Sequence[str]) -> dict[str, dict[str, float]]:
        """The value of every test query of every collection, kept by the model's weights."""
        embedder = self.embedder(model)
        kept: dict[str, dict[str, float]] = {}
        for name in collections:
            file = self.work / "measured" / f"{name}-{embedder.fingerprint}.json"
            if not file.exists():
                file.parent.mkdir(exist_ok=True)
                corpus = self.collection(name)
                dev = DevSet(corpus.judged_queries, corpus.qrels, self.documents(name))
                file.write_text(json.dumps(dev.values(embedder, MEASURE)))
            kept[name] = json.loads(file.read_bytes())
        return kept


class Bfloat16:
    """A sentence-transformers folder that multiplies in bfloat16: 2.5 times as fast here."""

    def __init__(self, folder: Path) -> None:
        inner = la.embedder(str(folder))
        self.inner, self.name, self.batch = inner, inner.name, inner.batch
        self.parameters, self.fingerprint = inner.parameters, f"{inner.fingerprint}-bf16"

    def prompt(self, side: str) -> str:
        return self.inner.prompt(side)

    def encode(self, texts: Sequence[str], *, side: str = "") -> np.ndarray:
        import torch

        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.inner.encode(texts, side=side)
