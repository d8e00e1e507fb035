"""A classifier without and with test-time augmentation, on the same labelled texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmaug.classify.evaluation import Evaluation, evaluated
from llmaug.classify.labels import Class
from llmaug.classify.scores import placed, right
from llmaug.significance import Interval, bootstrap_interval, mcnemar

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Comparison:
    """The scores before and after, and whether the accuracy differs by more than luck.

    `interval` is the 95 % paired bootstrap interval of the difference of the accuracies, `p` that
    of McNemar's exact test. `fixed` texts were wrong and are right, `broken` the other way round.
    """

    before: Evaluation
    after: Evaluation
    interval: Interval
    p: float
    fixed: int
    broken: int

    @property
    def difference(self) -> float:
        """The accuracy after, less that before."""
        return self.after.accuracy - self.before.accuracy


def compared(
    before: np.ndarray,
    after: np.ndarray,
    labels: Sequence[Class],
    *,
    classes: Sequence[Class],
    seed: int = 0,
) -> Comparison:
    """The comparison of two arrays of probabilities (n, classes) for texts with these labels."""
    truth = placed(labels, classes)
    was, now = right(before, truth), right(after, truth)
    return Comparison(
        evaluated(before, labels, classes=classes, seed=seed),
        evaluated(after, labels, classes=classes, seed=seed),
        bootstrap_interval(now.astype(float) - was, seed=seed),
        mcnemar(was, now),
        int((now & ~was).sum()),
        int((was & ~now).sum()),
    )
