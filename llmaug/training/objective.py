"""The parts of the training loss from the embeddings of a batch, over widths and pieces of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import torch
from sentence_transformers.util.distributed import all_gather, get_rank
from torch import Tensor
from torch.nn import functional

from llmaug.training.distillation import listwise, margin_mse, own_cosines
from llmaug.training.infonce import Chances, Columns, infonce, known_columns
from llmaug.training.settings import LossSettings

Head = Callable[[Tensor], Tensor]
Labels = dict[str, Tensor]
TAUGHT = {"distil": listwise, "margin_mse": margin_mse}


class Step(NamedTuple):
    """How a batch is scored in this step.

    `rows` queries are scored at a time. `backward` leaves each piece's gradients at the embeddings
    and forgets its graph, so that memory does not grow with the number of pieces.
    """

    settings: LossSettings
    widths: list[int]
    chances: Chances
    rows: int
    backward: bool


def parts_of(
    queries: Tensor, documents: Tensor, *, labels: Labels, head: Head, step: Step
) -> dict[str, Tensor]:
    """The parts that have a weight, each the mean over the widths, without its weight.

    `queries` is (rows, d), `documents` (rows of all processes, 1 + negatives, d). The head stands
    before InfoNCE only.
    """
    gathered = len(documents) > len(queries)
    first = get_rank() * len(queries) if gathered else 0
    own = documents[first : first + len(queries)]
    compared = documents if step.settings.in_batch else own
    columns = _columns(labels, step.settings, rows=len(queries), of=compared, first=first)
    values: dict[str, list[Tensor]] = defaultdict(list)
    for width in step.widths:
        if step.settings.infonce:
            shown = _shown(queries, width, head), _shown(compared, width, head)
            values["infonce"].append(_contrast(*shown, columns=columns, step=step))
        if step.settings.distil or step.settings.margin_mse:
            cosines = own_cosines(queries[:, :width], own[..., :width])
            for name, value in _taught(cosines, labels["teacher"], step=step).items():
                values[name].append(value)
    return {name: sum(found[1:], found[0]) / len(found) for name, found in values.items()}


def _shown(embeddings: Tensor, width: int, head: Head) -> Tensor:
    """What InfoNCE sees of the first dimensions; for the head the rest are zeros."""
    narrow = embeddings[..., :width]
    if isinstance(head, torch.nn.Identity):
        return narrow
    return head(functional.pad(narrow, (0, embeddings.shape[-1] - width)))


def _columns(
    labels: Labels, settings: LossSettings, *, rows: int, of: Tensor, first: int
) -> Columns:
    place = torch.arange(rows, device=of.device)
    positive = place + first if settings.in_batch else torch.zeros_like(place)
    if not settings.mask_known and settings.mask_ratio is None:
        return Columns(positive)
    documents = labels["documents"]
    if len(of) > rows:
        documents = all_gather(documents.contiguous())
    if settings.in_batch:
        documents = documents.T.reshape(-1)
    return known_columns(positive, documents, labels=labels, settings=settings)


def _contrast(queries: Tensor, documents: Tensor, *, columns: Columns, step: Step) -> Tensor:
    """The mean InfoNCE loss of the queries, computed for `step.rows` of them at a time."""
    settings, count = step.settings, len(queries)
    if settings.in_batch:
        # Column by column, as in sentence-transformers: first all positives.
        documents = documents.transpose(0, 1).flatten(0, 1)
    ends = queries, documents
    if step.backward:
        queries, documents = cut(queries), cut(documents)
    pieces: list[Tensor] = []
    for begin in range(0, count, step.rows):
        rows = slice(begin, min(begin + step.rows, count))
        drawn = step.chances.drawn
        piece = infonce(
            queries[rows],
            documents if settings.in_batch else documents[rows],
            columns=columns.rows(rows),
            settings=settings,
            chances=step.chances._replace(drawn=None if drawn is None else drawn.rows(rows)),
        ).mean()
        if step.rows < count:
            piece = piece * (rows.stop - begin) / count
        if step.backward:
            (piece * (settings.infonce / len(step.widths))).backward()
            piece = piece.detach()
        pieces.append(piece)
    if step.backward:
        torch.autograd.backward(ends, [queries.grad, documents.grad])
    return sum(pieces[1:], pieces[0])


def _taught(cosines: Tensor, teacher: Tensor, *, step: Step) -> dict[str, Tensor]:
    settings = step.settings
    weights = {name: getattr(settings, name) for name in TAUGHT if getattr(settings, name)}
    values = {
        name: TAUGHT[name](
            cosines,
            teacher,
            student_temperature=settings.student_temperature,
            teacher_temperature=settings.teacher_temperature,
        )
        for name in weights
    }
    if step.backward:
        weighted = torch.stack([weights[name] * value for name, value in values.items()]).sum()
        (weighted / len(step.widths)).backward()
    return {name: value.detach() if step.backward else value for name, value in values.items()}


def cut(tensor: Tensor) -> Tensor:
    """The same values as the start of a graph of their own, at which its gradients are left."""
    return tensor.detach().requires_grad_()
