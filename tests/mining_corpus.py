"""A corpus of forty documents about eight things, pairs for it, and teachers to mine with."""

from __future__ import annotations

import hashlib
import random

import numpy as np

import llmaug as la
from llmaug.training.pairs import Pair

THINGS = ("kettle", "torch", "vacuum", "camera", "kayak", "violin", "oven", "clock")
WORDS = ("quiet", "loud", "cheap", "heavy", "old", "red", "leaks", "breaks", "lasts", "shines")


def texts(count: int = 40, *, seed: int = 0) -> dict[str, str]:
    draw = random.Random(seed)
    return {
        f"d{n:02}": " ".join([THINGS[n % 8], *draw.sample(WORDS, 3), f"model{n}"])
        for n in range(count)
    }


def index_of(documents: dict[str, str], folder, *, embedder="fake", **settings):
    named = la.embedder(embedder) if isinstance(embedder, str) else embedder
    rows = [la.Text(text, id, id) for id, text in documents.items()]
    return la.Index.build(rows, folder, embedder=named, settings=la.Settings(**settings))


def pairs_for(documents: dict[str, str], *, every: int = 1) -> list[Pair]:
    """For each document a query of its first three words."""
    return [
        Pair(f"q-{id}", " ".join(text.split()[:3]), id)
        for id, text in list(documents.items())[::every]
    ]


class Signed:
    """An embedder whose cosines are as often below zero as above."""

    name, fingerprint, batch, parameters = "signed", "5169" * 3, 8, {}

    def prompt(self, side: str) -> str:
        return ""

    def encode(self, texts, *, side: str = ""):
        seeds = [int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) for text in texts]
        vectors = [np.random.default_rng(seed).normal(size=8) for seed in seeds]
        block = np.array(vectors, dtype=np.float32).reshape(-1, 8)
        return block / np.linalg.norm(block, axis=1, keepdims=True)


class Said:
    """A teacher that says what it was given, {document id: score}, whatever the query."""

    def __init__(self, scores=None, *, other=0.1, fingerprint="said"):
        self.name, self.fingerprint = "said", fingerprint
        self._scores, self._other = scores or {}, other
        self.asked: list[str] = []

    def scores(self, queries, documents):
        self.asked += [id for ids in documents for id in ids]
        return [np.array([self._scores.get(id, self._other) for id in ids]) for ids in documents]
