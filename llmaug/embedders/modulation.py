"""Queries whose own words weigh the dimensions of their vectors (a torch module).

After LexSemBridge (arXiv 2508.17858): e' = e * d * softmax(W w(q) + b) for a query q with vector e
of d dimensions, and words w(q) over the tokenizer's vocabulary. Documents stay as they are.

Departures: the factor d, with which W = 0 and b = 0 leave the vector as it is, bit for bit; a
low-rank W; for "llr" the pooled vector in place of the hidden state at [CLS], which is the same
thing where the model pools by [CLS].
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model
from sentence_transformers.base.modules import Module
from torch import nn

from llmaug.errors import ModelError, did_you_mean

KINDS = ("slr", "llr")
WEIGHTS = "model.safetensors"


class LexicalModulation(Module):  # type: ignore[misc]  # the library has no types
    """Weighs each dimension of a query's vector by the query's words; zero at the start.

    It acts where `encode` is given task="query", or in training where `features["task"]` is
    "query". The words of "slr" are those that occur in the query, each once, times a learned
    scale; those of "llr" are log(1 + ReLU(e U + c)), learned from the vector. Special tokens are
    no words. With `rank` None, W holds vocabulary x dimension numbers, and U of "llr" as many;
    with a rank both are products of two thin matrices, of which W's first one begins at zero: a
    token that training never saw then changes nothing.
    """

    config_keys = ["kind", "dimension", "vocabulary", "rank", "special"]  # noqa: RUF012
    forward_kwargs = {"task"}  # noqa: RUF012
    modulates = "query"  # the task of the texts that it changes

    def __init__(
        self,
        *,
        kind: str,
        dimension: int,
        vocabulary: int,
        rank: int | None = None,
        special: Iterable[int] = (),
        seed: int = 0,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ModelError(f"no lexical modulation {kind!r}; {did_you_mean(kind, KINDS)}")
        if rank is not None and rank < 1:
            raise ModelError(f"rank is {rank} in a lexical modulation; it must be at least 1")
        self.kind, self.dimension, self.vocabulary, self.rank = kind, dimension, vocabulary, rank
        self.special = sorted(special)
        is_word = torch.ones(vocabulary, dtype=torch.bool)
        is_word[self.special] = False
        self.register_buffer("is_word", is_word, persistent=False)
        chance = torch.Generator().manual_seed(seed)
        self.table = nn.Parameter(torch.zeros(vocabulary, rank or dimension))
        self.mixer = None if rank is None else _drawn(rank, dimension, chance)
        self.bias = nn.Parameter(torch.zeros(dimension))
        if kind == "slr":
            self.scale = nn.Parameter(torch.ones(()))  # zero would stop W's gradient
        else:
            self.reader = None if rank is None else _drawn(dimension, rank, chance)
            self.words = _drawn(rank or dimension, vocabulary, chance)
            self.words_bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(
        self, features: dict[str, Any], task: str | None = None, **_kwargs: Any
    ) -> dict[str, Any]:
        if (task or features.get("task")) != self.modulates:
            return features
        vectors = features["sentence_embedding"]
        found = self._occurring(features) if self.kind == "slr" else self._guessed(vectors)
        logits = (found if self.mixer is None else found @ self.mixer) + self.bias
        features["sentence_embedding"] = vectors * _weights(logits.float()).to(vectors.dtype)
        return features

    def _occurring(self, features: dict[str, Any]) -> torch.Tensor:
        """The sum of the table's rows of a query's distinct words, in (queries, table's width)."""
        rows, tokens = _tokens(features)
        distinct = torch.unique(rows * self.vocabulary + tokens)
        distinct = distinct[self.is_word[distinct % self.vocabulary]]
        looked_up = nn.functional.embedding(distinct % self.vocabulary, self.table)
        queries = len(features["sentence_embedding"])
        sums = looked_up.new_zeros(queries, looked_up.shape[1])
        return self.scale * sums.index_add(0, distinct // self.vocabulary, looked_up)

    def _guessed(self, vectors: torch.Tensor) -> torch.Tensor:
        read = vectors if self.reader is None else vectors @ self.reader
        found = torch.log1p(torch.relu(read @ self.words + self.words_bias))
        return (found * self.is_word) @ self.table

    def save(self, output_path: str, *_args: Any, **_kwargs: Any) -> None:
        self.save_config(output_path)
        save_model(self, str(Path(output_path, WEIGHTS)))

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        local_files_only: bool = True,
        **_kwargs: Any,
    ) -> LexicalModulation:
        folder = Path(model_name_or_path, subfolder)
        if not (folder / WEIGHTS).is_file():
            raise ModelError(f"{folder / WEIGHTS} is missing; copy the whole folder again")
        loaded = cls(**json.loads((folder / cls.config_file_name).read_bytes()))
        load_model(loaded, str(folder / WEIGHTS))
        return loaded


def _drawn(rows: int, columns: int, chance: torch.Generator) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, columns, generator=chance) / rows**0.5)


def _weights(logits: torch.Tensor) -> torch.Tensor:
    """d * softmax over d dimensions, exactly 1.0 everywhere for equal logits and any d."""
    raised = torch.exp(logits - logits.detach().amax(dim=1, keepdim=True))
    return raised / raised.mean(dim=1, keepdim=True)


def _tokens(features: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """For each token of a batch that is no padding: its text's number and its own."""
    tokens = features["input_ids"]
    if "offsets" in features:  # of static embeddings: one row of all texts, and where each begins
        places = torch.arange(len(tokens), device=tokens.device)
        return torch.searchsorted(features["offsets"], places, right=True) - 1, tokens
    if tokens.shape != features["attention_mask"].shape:
        raise ModelError("lexical modulation needs padded queries; turn off flash attention")
    rows, places = features["attention_mask"].nonzero(as_tuple=True)
    return rows, tokens[rows, places]
