"""The two settings of the benchmark of test-time augmentation: shift (A) and in-domain (B)."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import llmaug as la
from llmaug.classify.small import SmallClassifier, train
from llmaug.retrieval.vectors import VectorStore, key

SOURCES = (
    "gpt35_paraphrase",
    "llama3_8b_paraphrase",
    "back_translation",
    "contextual_substitute",
    "contextual_insert",
)
K = 4  # rewrites of a text
TOPICS = ("World", "Sports", "Business", "Sci/Tech")


class KeptVectors:
    """An embedder that keeps what it encodes in a folder, so that a second run costs nothing."""

    def __init__(self, embedder: la.Embedder, folder: Path) -> None:
        self.name, self.fingerprint = embedder.name, embedder.fingerprint
        self.parameters, self.batch = embedder.parameters, embedder.batch
        self.store = VectorStore(folder, embedder=embedder)

    def prompt(self, side: str) -> str:
        return ""

    def encode(self, texts: Sequence[str], *, side: str = "") -> np.ndarray:
        keys = np.frombuffer(b"".join(map(key, texts)), dtype="V16")
        self.store.fill(lambda rows: [texts[row] for row in rows.tolist()], keys)
        return self.store.block(self.store.rows(keys))


@dataclass
class Setting:
    """A trained classifier, in-domain texts that it was not trained on, and seeds with rewrites."""

    name: str
    classifier: SmallClassifier
    held_out: tuple[list[str], list[Any]]  # none in B
    texts: list[la.Text]
    labels: np.ndarray
    folder: Path  # of rewrites
    scratch: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="llmaug-tta-")))

    @functools.cached_property
    def plain(self) -> np.ndarray:
        """(n, classes): what the classifier says of the seeds."""
        return self.classifier.probabilities([text.text for text in self.texts])

    def right(self, chances: np.ndarray) -> np.ndarray:
        """(n,): whether the answer to each seed is right."""
        return np.array(self.classifier.classes)[chances.argmax(axis=1)] == self.labels

    def plan(self, source: str, *, n: int = K, draw: int | None = None) -> str:
        """The plan with n rewrites of a source: the first of the file, or n drawn by a seed."""
        file = self.folder / f"{source}.jsonl"
        if draw is not None:
            file = self._drawn(source, draw)
        return f"stored({str(file)!r}, n={n}, field='rewrites')"

    def _drawn(self, source: str, draw: int) -> Path:
        """A file whose rewrites are in another order, by seed and text."""
        path = self.scratch / f"{self.name}-{source}-{draw}.jsonl"
        if not path.exists():
            rows = read(self.folder / f"{source}.jsonl")
            order = np.random.default_rng(draw)
            for row in rows:
                row["rewrites"] = [
                    row["rewrites"][i] for i in order.permutation(len(row["rewrites"]))
                ]
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    def tta(self, plan: str, **how: Any) -> la.TTAClassifier:
        """Test-time augmentation around the classifier of this setting."""
        return la.TTAClassifier(self.classifier, f"keep() + {plan}", **how)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def shift(data: Path, embedder: la.Embedder, *, regularisation: float) -> Setting:
    """A: trained on book reviews, tested on film reviews; labels of SST-5 without the neutral."""
    training, held_out = (read(data / f"amazon_books/{name}.jsonl") for name in ("train", "test"))
    known = {letters(row["text"]) for row in training}
    held_out = [row for row in held_out if letters(row["text"]) not in known]
    folder = data / "rewrites/sst5"
    seeds = [row for row in read(folder / "seeds.jsonl") if row["label"] != 2]
    labels = ["negative" if row["label"] < 2 else "positive" for row in seeds]
    return Setting(
        "A",
        _trained(training, embedder, regularisation),
        ([row["text"] for row in held_out], [row["label"] for row in held_out]),
        _texts(seeds),
        np.array(labels),
        folder,
    )


def in_domain(data: Path, embedder: la.Embedder, *, regularisation: float) -> Setting:
    """B: trained on AG News, tested on other AG News; no seed is in the training texts."""
    training, folder = read(data / "agnews/pool.jsonl"), data / "rewrites/ag_news"
    seeds = read(folder / "seeds.jsonl")
    known = {letters(row["text"]) for row in training}
    assert not known & {letters(row["text"]) for row in seeds}
    return Setting(
        "B",
        _trained(training, embedder, regularisation),
        ([], []),
        _texts(seeds),
        np.array([TOPICS[row["label"]] for row in seeds]),
        folder,
    )


def letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _texts(rows: list[dict[str, Any]]) -> list[la.Text]:
    return [la.Text(row["text"], row["id"], row["id"]) for row in rows]


def _trained(
    rows: list[dict[str, Any]], embedder: la.Embedder, regularisation: float
) -> SmallClassifier:
    return train(
        [row["text"] for row in rows],
        [row["label"] for row in rows],
        embedder=embedder,
        regularisation=regularisation,
    )
