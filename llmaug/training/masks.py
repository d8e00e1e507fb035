"""Which documents are kept from being negatives of a query, because they may well answer it.

In every mask True stands for "no negative". A row is a query, a column a document of the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor


def second_copies(documents: Tensor) -> Tensor:
    """Where a number stands that stood earlier in the same list (the last dimension)."""
    order = documents.argsort(dim=-1, stable=True)
    numbers = documents.gather(-1, order)
    repeated = torch.zeros_like(documents, dtype=torch.bool)
    return repeated.scatter(-1, order[..., 1:], numbers[..., 1:] == numbers[..., :-1])


def is_one_of(documents: Tensor, unwanted: Tensor) -> Tensor:
    """Which documents are among the row's unwanted ones, by number.

    `documents` is (columns,) or (rows, columns), `unwanted` (rows, any) padded with -1; the answer
    is (rows, columns). Goes through the unwanted one by one, so that no third dimension is held.
    """
    documents = documents.expand(len(unwanted), documents.shape[-1])
    found = torch.zeros_like(documents, dtype=torch.bool)
    for one in unwanted.unbind(dim=1):
        found |= documents == one.unsqueeze(1)
    return found


def trusted_by_teacher(teacher: Tensor, *, ratio: float) -> Tensor:
    """Which of a query's own documents the teacher scores above `ratio` times the positive.

    `teacher` is (rows, 1 + negatives), the positive first; so is the answer, in which the positive
    is False. Scores are from 0 to 1, as every `Teacher` gives them; unknown ones (NaN), on either
    side, mask nothing, nor does a positive of 0, of which the teacher is no judge. The miner's
    `teacher_ratio` is the same rule, before training; CADET (arXiv 2502.19712) takes 0.6.
    """
    trusted = (teacher > ratio * teacher[:, :1]) & (teacher[:, :1] != 0)
    trusted[:, 0] = False
    return trusted


def nearer_than_positive(cosines: Tensor, positive: Tensor, *, margin: float) -> Tensor:
    """Which documents the model finds nearer than the positive by more than `margin`.

    `cosines` is (rows, columns), `positive` the cosine of each row's positive. As in GISTEmbed
    (arXiv 2402.16829), with the model as its own guide.
    """
    return cosines > positive.unsqueeze(1) + margin
