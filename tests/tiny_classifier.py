"""A tiny classifier with random weights, and labelled toy texts, for tests."""

from __future__ import annotations

import json
from pathlib import Path

from tiny_embedder import WORDS

TEXTS = [
    "the film was good",
    "good and good",
    "a good film and a good end",
    "the good one",
    "the film was bad",
    "bad and bad",
    "a bad film and a bad end",
    "the bad one",
]
LABELS = ["positive"] * 4 + ["negative"] * 4


def write_tiny_classifier(folder: Path, *, labels: int = 2, **config: object) -> Path:
    """Make a transformers folder with a random two-layer BERT for sequence classification."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        num_labels=labels,
        initializer_range=1.0,  # far from 0, so that texts get different probabilities
        **config,
    )
    BertForSequenceClassification(shape).save_pretrained(folder)
    return folder


def write_labelled(path: Path, texts: list[str] = TEXTS, labels: list[object] = LABELS) -> Path:
    """Write texts with their labels as JSONL."""
    rows = [{"text": text, "label": one} for text, one in zip(texts, labels, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
