"""What a classifier gave back, made into probabilities, or refused with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmaug.errors import ClassifierError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

OUTPUTS = ("probabilities", "logits")
ROUNDING = 1e-3  # how far from 1 the sum of a row may be: half precision comes to that


def checked(
    output: Any,
    *,
    rows: int,
    classes: int | None = None,
    outputs: str = "probabilities",
    name: str = "the classifier",
) -> np.ndarray:
    """The probabilities in what a classifier called `name` gave for `rows` texts.

    (rows, classes) float64, each row with the sum 1. Logits go through a softmax; probabilities
    are scaled where their sum is off by rounding. Raises `ClassifierError` for anything else than
    a finite number for each text and class: `classes` columns, or at least two where it is None.
    """
    import numpy as np

    check_outputs(outputs)
    numbers = _table(output, name=name)
    if len(numbers) != rows:
        raise ClassifierError(
            f"{name} gave {len(numbers):,} rows for {rows:,} texts; it must give one row for each "
            "text, in order"
        )
    if classes is not None and numbers.shape[1] != classes:
        raise ClassifierError(
            f"{name} gave {numbers.shape[1]:,} columns for {classes:,} classes; it must give one "
            "column for each class, in order"
        )
    if numbers.shape[1] < 2:
        raise ClassifierError(
            f"{name} gave one column; it must give one for each class: of two, the chance of each"
        )
    finite = np.isfinite(numbers)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        kind = "NaN" if np.isnan(numbers[row, column]) else "an infinite number"
        raise ClassifierError(f"{name} gave {kind} in row {row}, column {column}")
    if outputs == "logits":
        return softmax(numbers)
    return _probabilities(numbers, name=name)


def check_outputs(outputs: str) -> None:
    """Raise `ClassifierError` unless it is "probabilities" or "logits"."""
    if outputs not in OUTPUTS:
        known = did_you_mean(str(outputs), OUTPUTS)
        raise ClassifierError(f"outputs={outputs!r}: a classifier gives none such; {known}")


def softmax(logits: np.ndarray) -> np.ndarray:
    """The probabilities of each row of logits, without overflow."""
    import numpy as np

    powers: np.ndarray = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _table(output: Any, *, name: str) -> np.ndarray:
    """The output as a table of float64."""
    import numpy as np

    try:
        raw = np.asarray(output)
        if raw.ndim == 1 and len(raw):
            raise ClassifierError(
                f"{name} gave one value for each text, as `predict` does; it must give one column "
                "for each class, as `predict_proba` does"
            )
        if raw.ndim == 2:
            return raw.astype(np.float64)
    # Whatever a foreign array raises when it is read, there are no numbers to be had.
    except (TypeError, ValueError, RuntimeError):
        pass
    shape = getattr(output, "shape", None)
    found = f"of the shape {tuple(shape)}" if isinstance(shape, tuple) else type(output).__name__
    raise ClassifierError(
        f"{name} gave no table of numbers but {found}; it must give an array with one row for "
        "each text and one column for each class"
    )


def _probabilities(numbers: np.ndarray, *, name: str) -> np.ndarray:
    import numpy as np

    sums = numbers.sum(axis=1)
    wrong = (numbers < -ROUNDING).any(axis=1) | (np.abs(sums - 1) > ROUNDING)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        negative = numbers[row].min() < -ROUNDING
        what = f"holds {numbers[row].min():.4g}" if negative else f"sums to {sums[row]:.4g}"
        raise ClassifierError(
            f"{name} gave no probabilities: row {row} {what}; these look like logits; if they are, "
            "give outputs='logits'"
        )
    positive = np.clip(numbers, 0, None)
    scaled: np.ndarray = positive / positive.sum(axis=1, keepdims=True)
    return scaled
