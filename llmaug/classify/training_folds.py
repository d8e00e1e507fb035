"""Classifiers, and texts that they were not trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from llmaug.classify.classifiers import bare, classifier, is_estimator
from llmaug.classify.fitting import HeldOut
from llmaug.classify.labels import Class
from llmaug.errors import ClassifierError
from llmaug.request import Classifier
from llmaug.text import Text

FOLDS = 5


def held_out_of(
    source: Any,
    texts: Sequence[Text],
    labels: Sequence[Class],
    *,
    classes: Sequence[Class] | None,
    outputs: str,
    seed: int,
) -> tuple[Classifier, list[HeldOut]]:
    """The classifier that `source` is, and for each text one that was not trained on it.

    A scikit-learn estimator that is not fitted is trained on the texts; all others were trained
    on other ones. A function has the `classes` named, or the labels sorted.
    """
    import numpy as np

    estimator = is_estimator(source) and not isinstance(source, Classifier)
    if estimator and not _is_fitted(source):
        return trained(source, texts, labels, seed=seed)
    if callable(source) and not estimator and not isinstance(source, Classifier):
        named = classes if classes is not None else sorted(set(labels), key=_order)
        found: Classifier = bare(source, outputs=outputs).of_classes(named)
    else:
        found = classifier(source, classes=classes)
    return found, [HeldOut(np.arange(len(texts)), found)]


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


def _is_fitted(estimator: Any) -> bool:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    # Estimators of others have the manners of scikit-learn, not always all that it looks for.
    except (AttributeError, TypeError):
        return hasattr(estimator, "classes_")
    return True


def _order(label: Class) -> tuple[bool, Class]:
    return isinstance(label, str), label
