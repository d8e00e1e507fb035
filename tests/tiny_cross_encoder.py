"""A tiny cross-encoder with random weights and one output, for tests that rank."""

from __future__ import annotations

from pathlib import Path

_WORDS = """
the a kettle boils water leaks from machine dogs and their hair two minutes quiet vacuum cleaner
picks up kettles
"""
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_WORDS.split()]


def tiny_cross_encoder(folder: Path, *, seed: int = 0, outputs: int = 1) -> Path:
    """Make the folder a two-layer BERT of 16 dimensions whose large weights spread its scores."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    shape = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        initializer_range=0.5,
        num_labels=outputs,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        BertForSequenceClassification(shape).save_pretrained(folder)
    return folder


def relevance_alone(folder: Path, query: str, passage: str) -> float:
    """The score of one pair, asked of the library itself."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        return float(model(**tokenizer([query], [passage], return_tensors="pt")).logits[0, 0])
