"""The module that training can add to a retriever: lexical modulation of its queries."""

from __future__ import annotations

from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding

from llmaug.embedders.modulation import LexicalModulation
from llmaug.errors import PlanError
from llmaug.training.settings import TrainingSettings


def add_modulation(model: SentenceTransformer, settings: TrainingSettings) -> None:
    """Put a `LexicalModulation` that changes nothing yet into the model, before it normalises.

    Nothing happens where `settings.modulation` is "none"; a model that has one already keeps and
    trains it. A model that does not normalise is left so: its vectors' lengths are then modulated
    too. Its numbers begin at zero, and need a larger learning rate than the encoder's.
    """
    if settings.modulation == "none":
        return
    if any(isinstance(part, LexicalModulation) for part in model):
        raise PlanError(
            "the model has a lexical modulation already; leave modulation at none to train it on"
        )
    if not isinstance(model[0], Transformer | StaticEmbedding):
        raise PlanError(
            f"modulation needs a model that begins with a transformer or static embeddings, "
            f"not with {type(model[0]).__name__}"
        )
    vocabulary, special = _vocabulary(model)
    modulation = LexicalModulation(
        kind=settings.modulation,
        dimension=_dimension(model),
        vocabulary=vocabulary,
        rank=settings.modulation_rank,
        special=special,
        seed=settings.seed,
    ).to(model.device)
    last = model.pop(len(model) - 1) if isinstance(model[-1], Normalize) else None
    model.append(modulation)
    if last is not None:
        model.append(last)


def _dimension(model: SentenceTransformer) -> int:
    # Not the model's own answer, which a shorter `truncate_dim` changes.
    dimensions = (getattr(part, "get_embedding_dimension", None) for part in reversed(list(model)))
    return next(int(found()) for found in dimensions if found is not None)


def _vocabulary(model: SentenceTransformer) -> tuple[int, list[int]]:
    """How many tokens there are, and which of them are special."""
    tokenizer = model[0].tokenizer
    if isinstance(model[0], Transformer):
        return max(len(tokenizer), model.config.vocab_size), list(tokenizer.all_special_ids)
    added = tokenizer.get_added_tokens_decoder()
    special = [number for number, token in added.items() if token.special]
    return tokenizer.get_vocab_size(), special
