"""What a teacher's scores of a query's own documents ask of the student's cosines.

Both losses compare the same two logits, teacher / teacher_temperature and
cosine / student_temperature, so that a student that satisfies one satisfies the other. Teacher
scores are taken as they are: 0.3 suits scores from 0 to 1; the raw logits of a cross-encoder, which
reach ten and more, need a temperature of several.

`cosines` and `teacher` are (rows, 1 + negatives), the positive first; a teacher score that is not
known is NaN. A row whose positive the teacher puts below all its negatives adds nothing: that it
answers is known, and a student would be taught the contrary (CADET drops such queries). Every row
weighs the same, whatever the others hold: the sum over the rows that add something is divided by
the number of all rows.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def own_cosines(queries: Tensor, documents: Tensor) -> Tensor:
    """The cosine of each query (rows, d) with each document of its own (rows, any, d)."""
    queries, documents = _at_least_single(queries), _at_least_single(documents)
    unit = functional.normalize(queries, dim=-1).unsqueeze(1)
    return (unit * functional.normalize(documents, dim=-1)).sum(dim=-1)


def listwise(
    cosines: Tensor, teacher: Tensor, *, student_temperature: float, teacher_temperature: float
) -> Tensor:
    """KL(teacher || student) over a query's own documents, as CADET does (arXiv 2502.19712).

    Documents without a score are left out on both sides; a row with fewer than two scores adds
    nothing. Not multiplied by a temperature squared, unlike sentence-transformers'
    `DistillKLDivLoss`: at 0.05 that factor would make it 400 times smaller.
    """
    scored = ~teacher.isnan()
    enough = (scored.sum(dim=1) > 1) & ~_contradicts(teacher)
    left_out = ~scored[enough]
    wanted = (teacher[enough] / teacher_temperature).masked_fill(left_out, -torch.inf)
    given = (cosines[enough] / student_temperature).masked_fill(left_out, -torch.inf)
    # 0 * (-inf - -inf) would be NaN where a document is left out.
    wanted_log = wanted.log_softmax(dim=1).masked_fill(left_out, 0.0)
    given_log = given.log_softmax(dim=1).masked_fill(left_out, 0.0)
    return (wanted.softmax(dim=1) * (wanted_log - given_log)).sum() / len(teacher)


def margin_mse(
    cosines: Tensor, teacher: Tensor, *, student_temperature: float, teacher_temperature: float
) -> Tensor:
    """The squared difference of the margins between the positive and each negative.

    Hofstätter et al. 2020 (arXiv 2010.02666), there on raw scores of both sides; here each side is
    divided by its temperature. The mean over a row's negatives that have a score; a row adds
    nothing without one of them, or without a score of the positive.
    """
    wanted = (teacher[:, :1] - teacher[:, 1:]) / teacher_temperature
    given = (cosines[:, :1] - cosines[:, 1:]) / student_temperature
    scored = ~wanted.isnan() & ~_contradicts(teacher)[:, None]
    weights = scored / scored.sum(dim=1, keepdim=True).clamp(min=1)
    squared = (given - wanted.masked_fill(~scored, 0.0)) ** 2
    return (squared * weights).sum() / len(teacher)


def _contradicts(teacher: Tensor) -> Tensor:
    """Whether the positive of each row has a lower score than every negative that has one."""
    negatives = teacher[:, 1:]
    lower = (teacher[:, :1] < negatives) | negatives.isnan()
    return lower.all(dim=1) & ~negatives.isnan().all(dim=1)


def _at_least_single(vectors: Tensor) -> Tensor:
    return vectors.float() if vectors.dtype in (torch.float16, torch.bfloat16) else vectors
