"""Projection heads: what stands between the embeddings and the contrastive loss while training.

A head takes on what is peculiar to the loss, so that the embeddings before it, which are what
search uses, stay more general; it is thrown away after training (arXiv 2403.11391). Every head but
"reweight" starts as the identity, so that the first step is the same as without one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Reweight(nn.Module):  # type: ignore[misc]  # the library has no types
    """Dimension i weighs decay^-i, from i = 0. Fixed: nothing of it is trained."""

    weights: Tensor

    def __init__(self, dimension: int, *, decay: float) -> None:
        super().__init__()
        steps = torch.arange(dimension, dtype=torch.float64)
        self.register_buffer("weights", (decay**-steps).float())

    def forward(self, embeddings: Tensor) -> Tensor:
        return embeddings * self.weights


def projection_head(name: str, dimension: int, *, decay: float = 1.01) -> nn.Module:
    """A head by its name in `HEADS`: identity, linear, mlp (d, 2d, d) or reweight.

    No random numbers are drawn: the MLP starts as relu(x) - relu(-x), which is x.
    """
    eye = torch.eye(dimension)
    if name == "linear":
        return _layer(eye)
    if name == "mlp":
        return nn.Sequential(
            _layer(torch.cat([eye, -eye])), nn.ReLU(), _layer(torch.cat([eye, -eye], dim=1))
        )
    if name == "reweight":
        return Reweight(dimension, decay=decay)
    return nn.Identity()


def _layer(weight: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta").to_empty(device="cpu")
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.zero_()
    return layer
