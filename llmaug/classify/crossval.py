"""How well the small classifier does on texts that it did not learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmaug.classify.labels import Examples
from llmaug.classify.small import fit_head

if TYPE_CHECKING:
    import numpy as np

FOLDS = 5


class CrossValidated(NamedTuple):
    """The share of texts predicted right by a classifier that was trained on the other folds."""

    accuracy: float
    folds: int


def cross_validated(
    vectors: np.ndarray, learned: Examples, *, regularisation: float, seed: int = 0
) -> CrossValidated | None:
    """The accuracy over folds with the same share of every class, drawn by `seed`.

    Five folds, or as many as the smallest class has texts; None where that is one. For one label
    a text, of equal weight.
    """
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    numbers = learned.numbers
    folds = min(FOLDS, int(np.bincount(numbers).min()))
    if folds < 2:
        return None
    hits = 0
    drawn = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for others, held_out in drawn.split(vectors, numbers):
        part = Examples(learned.classes, others, numbers[others], learned.weights[others])
        weight, bias = fit_head(vectors, part, regularisation=regularisation, seed=seed)
        predicted = (vectors[held_out] @ weight.T + bias).argmax(axis=1)
        hits += int((predicted == numbers[held_out]).sum())
    return CrossValidated(hits / len(numbers), folds)
