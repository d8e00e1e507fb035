"""A tiny sentence-transformers model with random weights, for tests that train."""

from __future__ import annotations

import string
import tempfile
from pathlib import Path

_TEXT = """
the a an of in on at to and or for with from by is are was were be been has have not no it this that
what which who how when where why does do did can will would if than then as but so two nine days
water kettle boils litre minutes coffee machine leaks bottom vacuum cleaner quiet dogs hair picks up
battery torch lasts weekend camping left earcup headphones died after film good bad book great price
cell protein gene drug patients risk cancer blood heart treatment study effect increase decrease
"""
_WORDS = _TEXT.split()
_LETTERS = [*string.ascii_lowercase, *string.digits]
VOCABULARY = list(
    dict.fromkeys(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_WORDS, *_LETTERS, *".,?!'-()"]
        + [f"##{letter}" for letter in _LETTERS]
    )
)


def tiny_retriever(folder: Path, *, seed: int = 0, dropout: float = 0.1) -> Path:
    """Make the folder a retriever of 32 dimensions: 2-layer BERT, mean pooling, normalised.

    Letters and pieces of a letter are in its vocabulary, so that no text is all [UNK]. The random
    state of the caller stays as it is.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    shape = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    with tempfile.TemporaryDirectory() as parts, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        BertModel(shape).save_pretrained(parts)
        words = Path(parts, "vocab.txt")
        words.write_text("\n".join(VOCABULARY))
        BertTokenizerFast(vocab=str(words), model_max_length=64).save_pretrained(parts)
        bert = Transformer(parts)
    pooling = Pooling(bert.get_embedding_dimension(), "mean")
    model = SentenceTransformer(modules=[bert, pooling, Normalize()], device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    return folder
