"""Batches for tests of the training loss, and a loss with the gradients that it leaves."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import torch
from tiny_retriever import VOCABULARY

WORDS = [word for word in VOCABULARY if word.isalpha() and len(word) > 2]


class Outcome(NamedTuple):
    """A loss, and by name the gradients of what it trains."""

    loss: torch.Tensor
    gradients: dict[str, torch.Tensor]


def columns_of(rows: int, negatives: int, *, seed: int = 0) -> list[list[str]]:
    """Queries, positives and each negative, all of different words and lengths."""
    chance = random.Random(seed)
    return [
        [" ".join(chance.choices(WORDS, k=chance.randint(2, 9))) for _ in range(rows)]
        for _ in range(2 + negatives)
    ]


def labels_of(rows: int, negatives: int, *, seed: int = 0) -> dict[str, torch.Tensor]:
    """Labels in which no document comes twice and one score is not known."""
    documents = torch.arange(rows * (1 + negatives)).reshape(1 + negatives, rows).T
    teacher = torch.rand(rows, 1 + negatives, generator=torch.Generator().manual_seed(seed))
    teacher[0, -1] = torch.nan
    return {
        "documents": documents.contiguous(),
        "positives": torch.stack([documents[:, 0], torch.full((rows,), -1)], dim=1),
        "teacher": teacher,
    }


def outcome(
    loss: Any, columns: list[list[str]], labels: Any = None, *, share: float = 1.0, seed: int = 7
) -> Outcome:
    """The loss of texts and its gradients; `share` is what a trainer multiplies the loss with."""
    loss.zero_grad()
    torch.manual_seed(seed)
    value = loss([dict(loss.model.preprocess(column)) for column in columns], labels)
    (value * share).backward()
    return Outcome(
        value.detach(),
        {
            name: weight.grad.clone()
            for name, weight in loss.named_parameters()
            if weight.grad is not None and not name.startswith("loss.")
        },
    )


def same(one: Outcome, other: Outcome) -> bool:
    """Whether both are equal to the last bit."""
    return (
        torch.equal(one.loss, other.loss)
        and one.gradients.keys() == other.gradients.keys()
        and all(torch.equal(one.gradients[name], other.gradients[name]) for name in one.gradients)
    )


def assert_close(one: Outcome, other: Outcome) -> None:
    torch.testing.assert_close(one.loss, other.loss)
    assert one.gradients.keys() == other.gradients.keys()
    for name, gradient in one.gradients.items():
        torch.testing.assert_close(gradient, other.gradients[name], rtol=1e-3, atol=2e-6, msg=name)
