"""What a retriever is trained to minimise: InfoNCE, distillation from a teacher, or both."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from sentence_transformers.base.losses.gradcache import (
    CachedLossMixin,
    _get_batch_size,
    has_static_embedding_input,
)
from sentence_transformers.base.losses.merged_forward import embed_columns
from sentence_transformers.util import all_gather_with_grad
from sentence_transformers.util.distributed import get_world_size
from torch import Tensor, nn
from torch.func import functional_call

from llmaug.errors import PlanError
from llmaug.training.heads import projection_head
from llmaug.training.infonce import Chances
from llmaug.training.mixing import draws
from llmaug.training.objective import Labels, Step, cut, parts_of
from llmaug.training.settings import LossSettings

USERS = {
    "documents": "mask_known or mask_ratio",
    "positives": "mask_known",
    "teacher": "distil, margin_mse or mask_ratio",
}


class RetrievalLoss(CachedLossMixin, nn.Module):  # type: ignore[misc]  # untyped library
    """The loss of a batch [query, positive, negative_1, ...], by `LossSettings`.

    With a gradient cache (GradCache, arXiv 2101.06983) memory does not grow with the batch but for
    its embeddings: texts go through the model `mini_batch` at a time, twice, and the scores are
    computed for as many queries at a time. A batch of no more than `mini_batch` rows goes through
    once. A model of static embeddings, whose inputs cannot be cut, goes through once as well; the
    scores are still cut.

    The head stands before InfoNCE only: distillation shapes the embeddings that search will use.
    Matryoshka cuts the embeddings before the head, which sees zeros for the rest.

    `labels` holds "documents" (rows, 1 + negatives), a number for each document; "positives"
    (rows, any), all that are known to answer the query, padded with -1; "teacher" (rows,
    1 + negatives), NaN where unknown. Needed is what the settings use. With `gather` all processes
    have batches of the same size; gradients, those of the head too, are averaged by the trainer.

    Set before each step: `progress`, the share of all steps that is done; `draws`, a number of the
    step's own, the seed of its mixing; once: `epochs`. `last` holds the parts of the latest loss,
    unweighted. What the loss owns and training changes is `head`.
    """

    def __init__(self, model: Any, settings: LossSettings) -> None:
        super().__init__()
        dimension = model.get_embedding_dimension()
        wide = [width for width in settings.matryoshka if width > dimension]
        if wide:
            raise PlanError(
                f"matryoshka asks for {wide[0]} dimensions, but the model has {dimension}; "
                "name smaller ones"
            )
        self.model, self.settings = model, settings
        self.mini_batch_size = settings.mini_batch or 0
        static = has_static_embedding_input(model)
        self.uses_gradient_cache = settings.mini_batch is not None and not static
        self.widths = sorted({*settings.matryoshka, dimension})
        head = projection_head(settings.head, dimension, decay=settings.head_decay)
        self.head = head.to(getattr(model, "device", None))
        self.progress, self.draws, self.epochs = 0.0, 0, 1
        self.last: dict[str, Tensor] = {}
        self._owed: list[tuple[Tensor, Tensor]] = []

    @property
    def hardness(self) -> float:
        """What a negative's cosine adds to its logit now."""
        most, schedule = self.settings.hardness, self.settings.hardness_schedule
        if schedule == "linear":
            return most * self.progress
        if schedule == "epoch":
            # One step up with each epoch, all of it in the last; 1/3 * 3 may be 0.999....
            epoch = min(int(self.progress * self.epochs + 1e-9), self.epochs - 1)
            return most * (epoch + 1) / self.epochs
        return most

    def forward(
        self, features: Iterable[dict[str, Tensor]], labels: Labels | None = None
    ) -> Tensor:
        features = list(features)
        if len(features) < 2:
            raise PlanError(f"a batch has {len(features)} columns; it needs a query and a positive")
        if self.uses_gradient_cache and max(map(_get_batch_size, features)) > self.mini_batch_size:
            loss = self.forward_cached(features, labels)
        else:
            loss = self._in_one_pass(features, labels)
        owed, self._owed = self._owed, []
        for tensor, gradient in owed:
            # Of value 0, but with the gradient: so it is scaled with that of the loss.
            share = (tensor * gradient).sum()
            loss = loss + (share - share.detach())
        return loss

    def calculate_loss(
        self, reps: list[list[Tensor]], labels: Labels | None = None, *, with_backward: bool = False
    ) -> Tensor:
        """The loss from embeddings, given by columns and, in these, by pieces.

        `with_backward` leaves the gradients at the embeddings, and those of the head to `forward`.
        """
        columns = [torch.cat(pieces) for pieces in reps]
        queries, documents = columns[0], torch.stack(columns[1:], dim=1)
        labels = _checked(labels or {}, self.settings, shape=tuple(documents.shape[:2]))
        if self.settings.gather and get_world_size() > 1:
            documents = all_gather_with_grad(documents)
            if documents.requires_grad:
                # Outside NCCL its backward pass mixes up a gradient that is not contiguous.
                documents.register_hook(Tensor.contiguous)
        step = self._step(len(queries), backward=with_backward)
        if not with_backward:
            return self._weighted(
                parts_of(queries, documents, labels=labels, head=self.head, step=step)
            )
        ends = cut(queries), cut(documents)
        copies = {name: cut(parameter) for name, parameter in self.head.named_parameters()}
        head = partial(functional_call, self.head, copies) if copies else self.head
        parts = parts_of(*ends, labels=labels, head=head, step=step)
        torch.autograd.backward([queries, documents], [end.grad for end in ends])
        self._owed = [
            (parameter, copies[name].grad)
            for name, parameter in self.head.named_parameters()
            if copies[name].grad is not None
        ]
        return self._weighted(parts)

    def _step(self, rows: int, *, backward: bool) -> Step:
        settings, drawn = self.settings, None
        if (settings.mixed or settings.mixed_query) and self.progress >= settings.mix_from:
            drawn = draws(
                rows, mixed=settings.mixed, mixed_query=settings.mixed_query, seed=self.draws
            )
        chances = Chances(self.hardness, drawn)
        return Step(settings, self.widths, chances, settings.mini_batch or rows, backward)

    def _weighted(self, parts: dict[str, Tensor]) -> Tensor:
        self.last = {name: part.detach() for name, part in parts.items()}
        weighted = [getattr(self.settings, name) * part for name, part in parts.items()]
        return sum(weighted[1:], weighted[0])

    def _in_one_pass(self, features: list[dict[str, Tensor]], labels: Labels | None) -> Tensor:
        columns = embed_columns(self.model, features)
        if not (0 < self.mini_batch_size < len(columns[0]) and torch.is_grad_enabled()):
            return self.calculate_loss([[column] for column in columns], labels)
        ends = [cut(column) for column in columns]
        loss = self.calculate_loss([[end] for end in ends], labels, with_backward=True)
        self._owed += [(column, end.grad) for column, end in zip(columns, ends, strict=True)]
        return loss


def _checked(labels: Labels, settings: LossSettings, *, shape: tuple[int, ...]) -> Labels:
    """The labels, if they hold what the settings use in the shape of the batch's documents."""
    asked = {
        "documents": settings.mask_known or settings.mask_ratio is not None,
        "positives": settings.mask_known,
        "teacher": settings.distil or settings.margin_mse or settings.mask_ratio is not None,
    }
    for name, wanted in asked.items():
        if not wanted:
            continue
        if labels.get(name) is None:
            raise PlanError(f"the batch has no {name!r}, which {USERS[name]} needs")
        found = tuple(labels[name].shape)
        if found != shape and (name != "positives" or found[:1] != shape[:1]):
            raise PlanError(f"{name!r} of the batch is {found}, but its documents are {shape}")
    if (settings.distil or settings.margin_mse) and shape[1] < 2:
        raise PlanError("distil and margin_mse compare documents; give each query a negative")
    if asked["teacher"] and bool(labels["teacher"].isnan().all()):
        raise PlanError(
            f"no document of the batch has a teacher score, which {USERS['teacher']} needs; "
            "mine with a teacher, or turn it off"
        )
    return labels
