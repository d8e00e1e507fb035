"""A small classifier that trains in seconds: a sentence embedder and a logistic head."""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug.classify.labels import Class, Examples, examples
from llmaug.classify.probabilities import checked
from llmaug.errors import ClassifierError, MissingExtra
from llmaug.request import Embedder

if TYPE_CHECKING:
    import numpy as np

MOST_ITERATIONS = 10_000  # of L-BFGS; a hundred are usual
Progress = Callable[[str, int, int | None], None]  # stage, done, total

log = logging.getLogger("llmaug")


class SmallClassifier:
    """A linear head on the vectors of an embedder: softmax(vector x weight + bias).

    `weight` is (classes, d) and `bias` (classes,), both float64; `trained` says how it came to
    be, for people. The fingerprint is of both, the classes and the embedder. See `Classifier`.
    """

    def __init__(
        self,
        classes: Sequence[Class],
        weight: np.ndarray,
        *,
        bias: np.ndarray,
        embedder: Embedder,
        trained: Mapping[str, Any],
        name: str = "small",
    ) -> None:
        self.name, self.classes = name, tuple(classes)
        self.weight, self.bias = weight, bias
        self.embedder, self.trained = embedder, dict(trained)
        about = hashlib.sha256(json.dumps([self.classes, embedder.fingerprint]).encode())
        about.update(weight.astype("<f8").tobytes() + bias.astype("<f8").tobytes())
        self.fingerprint = about.hexdigest()[:12]

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        return self.of_vectors(self.embedder.encode(list(texts)))

    def of_vectors(self, vectors: np.ndarray) -> np.ndarray:
        """The probabilities for texts whose vectors are known already."""
        import numpy as np

        if vectors.shape[1] != self.weight.shape[1]:
            raise ClassifierError(
                f"{self.name} has weights for vectors of {self.weight.shape[1]} dimensions, and "
                f"{self.embedder.name} makes {vectors.shape[1]}; train it again"
            )
        # Not by BLAS, whose sums for one row depend on how many others there are.
        logits = np.einsum("nd,cd->nc", vectors.astype(np.float64), self.weight) + self.bias
        return checked(
            logits,
            rows=len(vectors),
            classes=len(self.classes),
            outputs="logits",
            name=self.name,
        )

    def save(self, folder: str | Path) -> None:
        """Write model.safetensors and classifier.json, whole or not at all (`OutputError`)."""
        from llmaug.classify.small_folder import write

        write(Path(folder), self)


def train(
    texts: Sequence[str],
    labels: Any,
    *,
    embedder: Embedder,
    regularisation: float = 1.0,
    seed: int = 0,
    classes: Sequence[Class] | None = None,
    weights: Sequence[float] | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> SmallClassifier:
    """Train the small classifier on labelled texts.

    `labels` are strings or whole numbers, or soft labels: an array of (texts, classes) with a
    probability for each of the `classes` named, as another classifier gives them; such a text
    counts once for each class, weighted by its probability. `weights` are of texts, 1 where not
    given. `regularisation` is C of scikit-learn's LogisticRegression, the weight of the examples
    against that of small coefficients: a lower one regularises more. `seed` goes to scikit-learn,
    whose solver draws nothing at present. Raises `ClassifierError` where nothing can be learned.
    """
    check_regularisation(regularisation)
    texts = list(texts)
    learned = examples(labels, texts=len(texts), classes=classes, weights=weights)
    for number, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            raise ClassifierError(f"text {number} is empty; leave it out, or give it words")
    vectors = encoded(texts, embedder, progress=progress)
    return train_on_vectors(
        vectors, learned, embedder=embedder, regularisation=regularisation, seed=seed
    )


def train_on_vectors(
    vectors: np.ndarray,
    learned: Examples,
    *,
    embedder: Embedder,
    regularisation: float = 1.0,
    seed: int = 0,
) -> SmallClassifier:
    """The same where the vectors that `embedder` gives the texts are known (see `encoded`)."""
    weight, bias = fit_head(vectors, learned, regularisation=regularisation, seed=seed)
    trained = {"texts": len(vectors), "regularisation": regularisation, "seed": seed}
    return SmallClassifier(learned.classes, weight, bias=bias, embedder=embedder, trained=trained)


def open_small(
    folder: str | Path,
    *,
    embedder: Embedder | None = None,
    device: str | None = None,
    base_url: str | None = None,
) -> SmallClassifier:
    """The small classifier that `save` wrote, with the embedder that it was trained with.

    Without `embedder` that is found by its name; `base_url` is where it is served now. Raises
    `ClassifierError` for a damaged folder or another embedder, and `ModelError` where the
    embedder is not found.
    """
    from llmaug.classify.small_folder import read

    return read(Path(folder), embedder=embedder, device=device, base_url=base_url)


def encoded(
    texts: Sequence[str],
    embedder: Embedder,
    *,
    progress: Progress = lambda stage, done, total: None,
) -> np.ndarray:
    """The vectors of texts, (n, d) float64, with progress told after each batch."""
    import numpy as np

    parts = []
    for start in range(0, len(texts), embedder.batch):
        parts.append(embedder.encode(list(texts[start : start + embedder.batch])))
        progress("embedding", min(start + embedder.batch, len(texts)), len(texts))
    found: np.ndarray = np.concatenate(parts or [embedder.encode([])]).astype(np.float64)
    return found


def fit_head(
    vectors: np.ndarray, learned: Examples, *, regularisation: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The weight and bias of the logistic head, one row for each class, also of two."""
    import numpy as np

    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise MissingExtra("scikit-learn", "classify") from None

    model = LogisticRegression(C=regularisation, max_iter=MOST_ITERATIONS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told below, in one line
        model.fit(vectors[learned.rows], learned.numbers, sample_weight=learned.weights)
    if max(model.n_iter_) >= MOST_ITERATIONS:
        log.warning(
            "the small classifier had not settled after %d iterations; a lower regularisation "
            "than %g settles sooner",
            MOST_ITERATIONS,
            regularisation,
        )
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:  # of two classes, scikit-learn keeps the second alone
        weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return np.ascontiguousarray(weight), np.ascontiguousarray(bias)


def check_regularisation(value: float) -> None:
    """Raise `ClassifierError` for a C that is no positive number."""
    if not 0 < value < float("inf"):
        raise ClassifierError(f"the regularisation must be a number above 0, not {value}")
