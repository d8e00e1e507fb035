"""Labels of texts for training: one class each, or a probability for every class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from llmaug.errors import ClassifierError
from llmaug.formats.fields import short

if TYPE_CHECKING:
    import numpy as np

Class = str | int


class Examples(NamedTuple):
    """What a model is fitted on: `rows` of the texts, each with a class number and a weight.

    A text with soft labels is there once for each class, its probability in the weight.
    """

    classes: tuple[Class, ...]
    rows: np.ndarray
    numbers: np.ndarray
    weights: np.ndarray


def examples(
    labels: Any,
    *,
    texts: int,
    classes: Sequence[Class] | None = None,
    weights: Sequence[float] | None = None,
) -> Examples:
    """The examples that so many texts with these labels make.

    `labels` are classes, or probabilities: an array of (texts, classes), with `classes` named.
    Without `classes` they are the labels in sorted order. Raises `ClassifierError` for labels that
    nothing can be learned from.
    """
    import numpy as np

    if len(labels) != texts:
        raise ClassifierError(
            f"{texts:,} texts and {len(labels):,} labels; give one label for each text"
        )
    if not texts:
        raise ClassifierError("there are no texts to learn from")
    soft = getattr(labels, "ndim", 1) == 2
    if soft:
        found, chances = checked_classes(classes), _soft(labels, classes)
        rows, numbers = np.nonzero(chances)
        shares = chances[rows, numbers]
    else:
        plain = [plain_label(label) for label in labels]
        found = checked_classes(classes if classes is not None else _sorted(plain))
        rows, numbers = np.arange(texts), np.array(class_numbers(plain, found))
        shares = np.ones(texts)
    for number, one in enumerate(found):
        if not (numbers == number).any():
            raise ClassifierError(
                f"no text has the label {one!r}; give one, or leave the class out"
            )
    return Examples(found, rows, numbers, shares * _weights(weights, texts=texts)[rows])


def plain_label(label: Any) -> Class:
    """The label as str or int, also from numpy; raises `ClassifierError` for anything else."""
    import numpy as np

    if isinstance(label, str):
        return str(label)
    if isinstance(label, int | np.integer) and not isinstance(label, bool):
        return int(label)
    raise ClassifierError(f"the label {short(repr(label))} is neither a string nor a whole number")


def checked_classes(classes: Sequence[Class] | None) -> tuple[Class, ...]:
    """The classes as a tuple; raises `ClassifierError` unless they are two or more of one kind."""
    if classes is None:
        raise ClassifierError("soft labels need classes=…, in the order of their columns")
    found = tuple(plain_label(one) for one in classes)
    if len(set(found)) < len(found):
        twice = next(one for one in found if found.count(one) > 1)
        raise ClassifierError(f"the class {twice!r} is named twice")
    if len({type(one) for one in found}) > 1:
        raise ClassifierError(
            "some labels are strings and some are numbers; write all the same way"
        )
    if len(found) == 1:
        raise ClassifierError(
            f"the labels are all {found[0]!r}; give texts of at least two classes"
        )
    if not found:
        raise ClassifierError("there are no classes; name at least two")
    return found


def class_numbers(labels: Sequence[Class], classes: Sequence[Class]) -> list[int]:
    """The place of each label among the classes; raises `ClassifierError` for an unknown one."""
    places = {one: place for place, one in enumerate(classes)}
    for label in labels:
        if label not in places:
            known = ", ".join(short(repr(one)) for one in classes)
            raise ClassifierError(f"the label {short(repr(label))} is no class; they are {known}")
    return [places[label] for label in labels]


def _sorted(labels: Sequence[Class]) -> list[Class]:
    # By type first, so that a mixture gets its own message instead of a TypeError.
    return sorted(set(labels), key=lambda one: (isinstance(one, str), one))


def _soft(labels: np.ndarray, classes: Sequence[Class] | None) -> np.ndarray:
    from llmaug.classify.probabilities import checked

    columns = len(checked_classes(classes))
    return checked(labels, rows=len(labels), classes=columns, name="the soft labels")


def _weights(weights: Sequence[float] | None, *, texts: int) -> np.ndarray:
    import numpy as np

    if weights is None:
        return np.ones(texts)
    found = np.asarray(weights, dtype=np.float64)
    if found.shape != (texts,):
        raise ClassifierError(f"{len(found):,} weights for {texts:,} texts; give one for each")
    if not np.isfinite(found).all() or (found < 0).any() or not found.any():
        raise ClassifierError("the weights of texts are numbers from 0 up, and not all 0")
    return found
