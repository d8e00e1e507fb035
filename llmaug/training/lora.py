"""LoRA (arXiv 2106.09685): small matrices are trained beside the attention, then merged into it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from sentence_transformers import SentenceTransformer

from llmaug.embedders.modulation import LexicalModulation
from llmaug.errors import MissingExtra, PlanError

if TYPE_CHECKING:
    from torch import nn

# Names of the query, key and value projections in BERT and RoBERTa, DistilBERT, MPNet, most
# decoders, and ModernBERT.
ATTENTION = (
    ("query", "key", "value"),
    ("q_lin", "k_lin", "v_lin"),
    ("q", "k", "v"),
    ("q_proj", "k_proj", "v_proj"),
    ("Wqkv",),
)


def add_lora(model: SentenceTransformer, *, rank: int, alpha: int, seed: int = 0) -> None:
    """Freeze the model and put adapters of this rank beside its attention projections.

    A lexical modulation stays trainable. The new model is the old one bit for bit until the first
    step, as the adapters' second factor is zero. Rank 0 changes nothing. Usual learning rates are
    1e-4 to 5e-4. What `save` writes before the model is `merged` does not load again.
    """
    if rank == 0:
        return
    if rank < 0 or alpha <= 0:
        raise PlanError(f"lora_rank is {rank} and lora_alpha {alpha}; rank >= 0 and alpha > 0 work")
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise MissingExtra("peft", "train") from None
    if adapted(model):
        raise PlanError("the model has LoRA adapters already; merge them first")
    config = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=list(_projections(model))
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.requires_grad_(False)
        # Not the model's own `add_adapter`, for which transformers 5.24 asks for peft 0.22.
        inject_adapter_in_model(config, model.transformers_model)
    for part in model:
        if isinstance(part, LexicalModulation):
            part.requires_grad_(True)


def merged(model: SentenceTransformer) -> SentenceTransformer:
    """A copy whose weights hold the adapters, and which saves and loads without peft.

    Without adapters it is the model itself.
    """
    if not adapted(model):
        return model
    from peft.tuners.tuners_utils import BaseTunerLayer

    plain = copy.deepcopy(model)
    for name, layer in list(plain.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            layer.merge()
            parent, _, own = name.rpartition(".")
            setattr(plain.get_submodule(parent), own, layer.get_base_layer())
    del plain.transformers_model.peft_config
    plain.requires_grad_(True)
    return plain


def adapted(model: SentenceTransformer) -> bool:
    """Whether LoRA adapters are in the model."""
    return any(".lora_A." in name for name, _ in model.named_parameters())


def _projections(model: SentenceTransformer) -> tuple[str, ...]:
    encoder: nn.Module | None = model.transformers_model
    linear = (
        {name.rpartition(".")[2] for name, part in encoder.named_modules() if _is_linear(part)}
        if encoder is not None
        else set()
    )
    for names in ATTENTION:
        if linear.issuperset(names):
            return names
    known = "; ".join(" ".join(names) for names in ATTENTION)
    raise PlanError(
        f"LoRA finds no attention in {type(encoder or model[0]).__name__}: its linear layers have "
        f"none of the names {known}; set lora_rank to 0"
    )


def _is_linear(part: nn.Module) -> bool:
    return isinstance(part, torch.nn.Linear)
