"""A scikit-learn estimator trained on texts, and answers to each from folds without it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from llmaug.classify.classifiers import classifier
from llmaug.classify.fitting import HeldOut
from llmaug.classify.labels import Class
from llmaug.errors import ClassifierError
from llmaug.request import Classifier
from llmaug.text import Text

FOLDS = 5


def trained(
    estimator: Any, texts: Sequence[Text], labels: Sequence[Class], *, seed: int
) -> tuple[Classifier, list[HeldOut]]:
    """The estimator trained on all texts, and one for each fold trained on the others.

    The estimator given stays as it is. Raises `ClassifierError` where a class has one text only.
    """
    import numpy as np
    from sklearn.base import clone
    from sklearn.model_selection import StratifiedKFold

    rarest, least = min(Counter(labels).items(), key=lambda one: one[1])
    if least < 2:
        raise ClassifierError(
            f"the class {rarest!r} has a single text; give two or more, or a fitted estimator"
        )
    written = [text.text for text in texts]
    answers = np.array(labels)
    folds = StratifiedKFold(min(FOLDS, least), shuffle=True, random_state=seed)
    parts = []
    for train, test in folds.split(written, answers):
        one = clone(estimator).fit([written[row] for row in train], answers[train])
        parts.append(HeldOut(test, classifier(one)))
    return classifier(clone(estimator).fit(written, answers)), parts
