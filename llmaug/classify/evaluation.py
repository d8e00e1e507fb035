"""A classifier on labelled texts: every score at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmaug.classify.scores import (
    Bin,
    ClassScores,
    accuracy,
    brier,
    calibration_error,
    class_scores,
    macro_f1,
    nll,
    placed,
    reliability,
    right,
)
from llmaug.significance import Interval, bootstrap_interval

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Evaluation:
    """The scores of a classifier on labelled texts; see `llmaug.classify.scores` for each.

    `interval` is the 95 % bootstrap interval of the accuracy. `unknown` counts labels that are no
    class: those texts are wrong in all but `nll` and `brier`, which leave them out and are None
    where nothing is left. `by_class` has the scores of the classes by name.
    """

    texts: int
    accuracy: float
    interval: Interval
    macro_f1: float
    calibration_error: float
    nll: float | None
    brier: float | None
    by_class: Mapping[str | int, ClassScores]
    unknown: Mapping[str | int, int]
    bins: Sequence[Bin]


def evaluated(
    probabilities: np.ndarray,
    labels: Sequence[str | int],
    *,
    classes: Sequence[str | int],
    seed: int = 0,
) -> Evaluation:
    """The scores of a classifier that gave these probabilities for texts with these labels."""
    import numpy as np

    truth = np.array(placed(labels, classes))
    known = truth < len(classes)
    names: dict[int, str | int] = dict(zip(truth.tolist(), labels, strict=True))
    names |= dict(enumerate(classes))
    return Evaluation(
        texts=len(labels),
        accuracy=accuracy(probabilities, truth),
        interval=bootstrap_interval(right(probabilities, truth), seed=seed),
        macro_f1=macro_f1(probabilities, truth),
        calibration_error=calibration_error(probabilities, truth),
        nll=nll(probabilities[known], truth[known]) if known.any() else None,
        brier=brier(probabilities[known], truth[known]) if known.any() else None,
        by_class={names[one.number]: one for one in class_scores(probabilities, truth)},
        unknown=Counter(label for label, there in zip(labels, known, strict=True) if not there),
        bins=reliability(probabilities, truth),
    )
