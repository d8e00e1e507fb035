"""How good the probabilities of a classifier are, given the true classes.

Everywhere, `probabilities` is (n, classes) and `truth` has the number of the true class of each
text. A number beyond the columns stands for a label that the classifier does not know: such a text
is wrong whatever was predicted. The prediction is the most probable class, of equals the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

BINS = 15  # of equal width; as Guo et al. 2017
SMALLEST = 1e-15  # a probability of 0 counts as this much, else one text decides the whole mean


class ClassScores(NamedTuple):
    """Precision, recall and F1 of one class, 0 where nothing decides; `texts` are truly of it."""

    number: int
    precision: float
    recall: float
    f1: float
    texts: int
    predicted: int


class Bin(NamedTuple):
    """The texts whose top probability lies in (low, high]: its mean, and how many were right."""

    low: float
    high: float
    texts: int
    confidence: float
    accuracy: float


def right(probabilities: ArrayLike, truth: ArrayLike) -> np.ndarray:
    """For each text, whether the prediction is the truth."""
    import numpy as np

    table, numbers = _checked(probabilities, truth)
    return np.asarray(table.argmax(axis=1) == numbers)


def accuracy(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """The share of texts whose most probable class is the true one."""
    return float(right(probabilities, truth).mean())


def class_scores(probabilities: ArrayLike, truth: ArrayLike) -> list[ClassScores]:
    """The scores of every class that is the truth or the prediction of a text."""
    import numpy as np

    table, numbers = _checked(probabilities, truth)
    predicted = table.argmax(axis=1)
    found = []
    for number in np.union1d(numbers, predicted).tolist():
        of, said = numbers == number, predicted == number
        both, texts, count = int((of & said).sum()), int(of.sum()), int(said.sum())
        precision, recall = both / count if count else 0.0, both / texts if texts else 0.0
        f1 = 2 * both / (texts + count)
        found.append(ClassScores(number, precision, recall, f1, texts, count))
    return found


def macro_f1(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """The mean F1 over the classes that are the truth or the prediction of any text.

    As scikit-learn's f1_score(average="macro"): classes that appear in neither are left out.
    """
    scores = class_scores(probabilities, truth)
    return sum(one.f1 for one in scores) / len(scores)


def reliability(probabilities: ArrayLike, truth: ArrayLike, *, bins: int = BINS) -> list[Bin]:
    """The bins of equal width of the top probability that hold a text, lowest first."""
    import numpy as np

    table, numbers = _checked(probabilities, truth)
    confidence, hits = table.max(axis=1), table.argmax(axis=1) == numbers
    places = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    found = []
    for place in np.unique(places).tolist():
        there = places == place
        means = float(confidence[there].mean()), float(hits[there].mean())
        found.append(Bin(place / bins, (place + 1) / bins, int(there.sum()), *means))
    return found


def calibration_error(probabilities: ArrayLike, truth: ArrayLike, *, bins: int = BINS) -> float:
    """The expected calibration error (ECE): how far accuracy is from the top probability.

    The mean over texts of the distance between both means of their bin (Naeini et al. 2015; Guo et
    al. 2017, section 2), with 15 bins of equal width.
    """
    found = reliability(probabilities, truth, bins=bins)
    texts = sum(one.texts for one in found)
    return sum(one.texts * abs(one.accuracy - one.confidence) for one in found) / texts


def nll(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """The mean of -log(probability of the true class), in nats; every class must be known."""
    import numpy as np

    table, numbers = _known(probabilities, truth)
    chances = table[np.arange(len(numbers)), numbers]
    return float(-np.log(np.clip(chances, SMALLEST, 1)).mean())


def brier(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """The mean squared distance from the truth over all classes, 0 to 2 (Brier 1950)."""
    import numpy as np

    table, numbers = _known(probabilities, truth)
    target = np.zeros_like(table)
    target[np.arange(len(numbers)), numbers] = 1
    return float(((table - target) ** 2).sum(axis=1).mean())


def _checked(probabilities: ArrayLike, truth: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    table, numbers = np.asarray(probabilities, dtype=np.float64), np.asarray(truth)
    if table.ndim != 2 or numbers.shape != table.shape[:1] or not len(table):
        raise ValueError("scores need a row of probabilities and a true class for at least 1 text")
    if numbers.dtype.kind not in "iu" or (numbers < 0).any():
        raise ValueError("the truth must be the numbers of classes, from 0")
    return table, numbers


def _known(probabilities: ArrayLike, truth: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    table, numbers = _checked(probabilities, truth)
    if (numbers >= table.shape[1]).any():
        raise ValueError("a true class has no column; leave out texts with unknown labels")
    return table, numbers


def placed(labels: Sequence[str | int], classes: Sequence[str | int]) -> list[int]:
    """The number of each label's class; labels that are no class get numbers beyond those.

    Where a table made "1" of the number 1, or the other way round, it is that class all the same.
    """
    places: dict[str | int, int] = {one: place for place, one in enumerate(classes)}
    written = {str(one): place for place, one in enumerate(classes)}
    for label in labels:
        if label not in places:
            places[label] = written.get(str(label), len(places) + len(classes))
    return [places[label] for label in labels]
