"""InfoNCE of some queries of a batch against its documents, with all that changes its logits."""

from __future__ import annotations

from typing import NamedTuple

import torch
from sentence_transformers.util import cos_sim
from torch import Tensor

from llmaug.training.distillation import own_cosines
from llmaug.training.masks import (
    is_one_of,
    nearer_than_positive,
    second_copies,
    trusted_by_teacher,
)
from llmaug.training.mixing import Draws, mixtures
from llmaug.training.settings import LossSettings


class Columns(NamedTuple):
    """What is known of the documents that the queries are compared with, whatever the model says.

    `positive` (rows,) is the column of each query's positive. `documents` is their numbers,
    (columns,), or (rows, columns) where each query has its own; so is `copies`, True where a
    number stood earlier. `unwanted` (rows, any) is numbers that are no negatives of the query,
    padded with -1. None: nothing is masked by number.
    """

    positive: Tensor
    documents: Tensor | None = None
    copies: Tensor | None = None
    unwanted: Tensor | None = None

    def rows(self, rows: slice) -> Columns:
        """The same for some of the queries."""

        def of(part: Tensor | None) -> Tensor | None:
            return part if part is None or part.dim() == 1 else part[rows]

        return Columns(self.positive[rows], of(self.documents), of(self.copies), of(self.unwanted))


class Chances(NamedTuple):
    """What of the logits moves from step to step: the hardness, and the draws for mixing."""

    hardness: float = 0.0
    drawn: Draws | None = None


def known_columns(
    positive: Tensor, documents: Tensor, *, labels: dict[str, Tensor], settings: LossSettings
) -> Columns:
    """The columns with what the labels of the queries say of them; see `masks`."""
    own = labels["documents"]
    unwanted, copies = [], None
    if settings.mask_known:
        unwanted += [own[:, :1], labels["positives"]]
        copies = second_copies(documents)
    if settings.mask_ratio is not None:
        # By number, so that a copy that came with another query is masked as well.
        trusted = trusted_by_teacher(labels["teacher"], ratio=settings.mask_ratio)
        unwanted.append(own.masked_fill(~trusted, -1))
    return Columns(positive, documents, copies, torch.cat(unwanted, dim=1))


def infonce(
    queries: Tensor,
    documents: Tensor,
    *,
    columns: Columns,
    settings: LossSettings,
    chances: Chances,
) -> Tensor:
    """The loss of each query (rows,): how little of the softmax falls to its positive.

    `documents` is (columns, dimension), or (rows, columns, dimension) where each query has its own.
    Hardness adds alpha times the cosine, without its gradient, to the logit of every negative (Lan
    et al., arXiv 2503.04812, eq. 5; EmbeddingGemma, arXiv 2509.20354). That alpha moves while
    training is inspired by PEG (arXiv 2311.11691), whose formula is not public.
    """
    row = torch.arange(len(queries), device=queries.device)
    shared = documents.dim() == 2
    cosines = cos_sim(queries, documents) if shared else own_cosines(queries, documents)
    logits = cosines * (1 / settings.temperature)
    if chances.hardness:
        extra = chances.hardness * cosines.detach()
        extra[row, columns.positive] = 0.0
        logits = logits + extra
    masked = _masked(cosines.detach(), columns, settings)
    if masked is not None:
        logits = logits.masked_fill(masked, -torch.inf)
    positive = logits[row, columns.positive]
    if chances.drawn is not None:
        negatives = cosines.detach().masked_fill(logits.detach() == -torch.inf, -torch.inf)
        negatives[row, columns.positive] = -torch.inf
        made = mixtures(
            queries, documents, cosines=negatives, drawn=chances.drawn, among=settings.mix_among
        )
        mixed = own_cosines(queries, made.vectors) * (1 / settings.temperature)
        logits = torch.cat([logits, mixed.masked_fill(~made.exist, -torch.inf)], dim=1)
    return -(positive - logits.logsumexp(dim=1))


def _masked(cosines: Tensor, columns: Columns, settings: LossSettings) -> Tensor | None:
    """Which documents are no negatives, (rows, columns); None where all are."""
    row = torch.arange(len(cosines), device=cosines.device)
    masked = torch.zeros_like(cosines, dtype=torch.bool)
    if columns.documents is not None and columns.unwanted is not None:
        masked |= is_one_of(columns.documents, columns.unwanted)
    if columns.copies is not None:
        masked |= columns.copies
    if settings.mask_similar is not None:
        positive = cosines[row, columns.positive]
        masked |= nearer_than_positive(cosines, positive, margin=settings.mask_similar)
    masked[row, columns.positive] = False
    return masked if masked.any() else None
