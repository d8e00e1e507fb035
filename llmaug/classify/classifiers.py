"""Any text classifier behind one protocol: a function, scikit-learn, transformers, our own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmaug.classify.labels import Class, checked_classes, plain_label
from llmaug.classify.probabilities import check_outputs, checked
from llmaug.errors import ClassifierError
from llmaug.request import Classifier, Embedder

if TYPE_CHECKING:
    import numpy as np

ABOUT, CONFIG = "classifier.json", "config.json"  # of our folders, and of those of transformers


def classifier(
    source: Any,
    *,
    classes: Sequence[Class] | None = None,
    outputs: str = "probabilities",
    name: str | None = None,
    fingerprint: str | None = None,
    device: str | None = None,
    batch_size: int = 32,
    embedder: Embedder | None = None,
    base_url: str | None = None,
) -> Classifier:
    """The classifier that `source` is or names.

    A folder of `llmaug classify train`, or one of a transformers model for sequence
    classification; a fitted scikit-learn estimator or pipeline that takes texts; a function from a
    list of texts to an array of (texts, classes), for which `classes` names the columns (see
    `bare` for where they are not known yet; a transformers folder may only call them LABEL_0,
    LABEL_1, …, and `classes` says what they are). A `Classifier` comes back as it is.
    `outputs` is "logits" where a function gives those. `fingerprint` is yours to change whenever a
    function or estimator answers otherwise; without one it is empty, and a run that could be
    resumed with another classifier refuses it. `device` and `batch_size` are for models that are
    loaded from a folder, `embedder` and `base_url` (of its server) for our own folders. Raises
    `ClassifierError` or `ModelError`.
    """
    check_outputs(outputs)
    if isinstance(source, str | os.PathLike):
        if fingerprint is not None or outputs != "probabilities":
            raise ClassifierError(f"{source} brings its outputs and fingerprint; leave them out")
        return _from_folder(
            Path(source),
            classes=classes,
            device=device,
            batch_size=batch_size,
            embedder=embedder,
            base_url=base_url,
        )
    if isinstance(source, Classifier):
        return source
    if is_estimator(source):
        return _of_estimator(source, classes=classes, name=name, fingerprint=fingerprint)
    made = bare(source, outputs=outputs, name=name, fingerprint=fingerprint)
    if classes is None:
        raise ClassifierError(
            f"{made.name} is a function, which says nothing about its classes; name them in the "
            "order of its columns: classes=['negative', 'positive']"
        )
    return made.of_classes(classes)


def bare(
    function: Callable[[list[str]], Any],
    *,
    outputs: str = "probabilities",
    name: str | None = None,
    fingerprint: str | None = None,
) -> FunctionClassifier:
    """A function as a classifier whose classes are not known yet: `of_classes` names them.

    Until then any number of columns is taken, and `classes` is empty.
    """
    check_outputs(outputs)
    if not callable(function):
        raise ClassifierError(
            f"{type(function).__name__} is no classifier; give a function from a list of texts to "
            "an array of probabilities, a fitted scikit-learn estimator, or a folder"
        )
    called = name or str(getattr(function, "__qualname__", type(function).__qualname__))
    return FunctionClassifier(function, outputs=outputs, name=called, fingerprint=fingerprint or "")


class FunctionClassifier:
    """A function from a list of texts to an array, with its answers checked. See `Classifier`."""

    def __init__(
        self,
        function: Callable[[list[str]], Any],
        *,
        outputs: str,
        name: str,
        fingerprint: str = "",
        classes: tuple[Class, ...] = (),
    ) -> None:
        self.function, self.outputs = function, outputs
        self.name, self.fingerprint, self.classes = name, fingerprint, classes

    def of_classes(self, classes: Sequence[Class]) -> FunctionClassifier:
        """The same function, with the classes of its columns in order."""
        return FunctionClassifier(
            self.function,
            outputs=self.outputs,
            name=self.name,
            fingerprint=self.fingerprint,
            classes=checked_classes(classes),
        )

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        import numpy as np

        if not texts:
            return np.zeros((0, len(self.classes)))
        return checked(
            self.function(list(texts)),
            rows=len(texts),
            classes=len(self.classes) or None,
            outputs=self.outputs,
            name=self.name,
        )


def is_estimator(source: Any) -> bool:
    """Whether it has the manners of a scikit-learn classifier, fitted or not."""
    return not isinstance(source, type) and hasattr(source, "fit") and hasattr(source, "predict")


def _of_estimator(
    estimator: Any, *, classes: Sequence[Class] | None, name: str | None, fingerprint: str | None
) -> Classifier:
    called = name or type(estimator).__name__
    found = _fitted_classes(estimator, name=called)
    if classes is not None and tuple(map(plain_label, classes)) != found:
        raise ClassifierError(
            f"{called} was fitted with the classes {list(found)}, in this order; leave classes out"
        )
    if hasattr(estimator, "predict_proba"):
        function, outputs = estimator.predict_proba, "probabilities"
    elif hasattr(estimator, "decision_function"):
        function, outputs = _both_sides(estimator.decision_function), "logits"
    else:
        raise ClassifierError(
            f"{called} has neither predict_proba nor decision_function (a pipeline has those of "
            "its last step); use one that has, or CalibratedClassifierCV around it"
        )
    return FunctionClassifier(
        function, outputs=outputs, name=called, fingerprint=fingerprint or "", classes=found
    )


def _fitted_classes(estimator: Any, *, name: str) -> tuple[Class, ...]:
    from llmaug.errors import MissingExtra

    try:
        from sklearn.exceptions import NotFittedError
    except ImportError:
        raise MissingExtra("scikit-learn", "classify") from None
    try:
        found = estimator.classes_
    except (AttributeError, NotFittedError):
        raise ClassifierError(f"{name} is not fitted; call its fit(texts, labels) first") from None
    if getattr(found, "ndim", 1) != 1 or isinstance(found, list):
        raise ClassifierError(
            f"{name} predicts several labels for each text; give one that predicts a single class"
        )
    return checked_classes(list(found))


def _both_sides(decide: Callable[[list[str]], Any]) -> Callable[[list[str]], Any]:
    """A decision function with a column for each class, also where there are two.

    Of two classes scikit-learn gives the margin of the second alone, whose sigmoid is the softmax
    of (0, margin).
    """

    def logits(texts: list[str]) -> Any:
        import numpy as np

        found = np.asarray(decide(texts))
        return np.column_stack([np.zeros(len(found)), found]) if found.ndim == 1 else found

    return logits


def _from_folder(
    folder: Path,
    *,
    classes: Sequence[Class] | None,
    device: str | None,
    batch_size: int,
    embedder: Embedder | None,
    base_url: str | None,
) -> Classifier:
    folder = folder.expanduser()
    if (folder / ABOUT).is_file():
        from llmaug.classify.small import open_small

        if classes is not None:
            raise ClassifierError(f"{folder} brings its classes; leave them out")
        return open_small(folder, embedder=embedder, device=device, base_url=base_url)
    if (folder / CONFIG).is_file():
        from llmaug.classify.folder import FolderClassifier

        return FolderClassifier(folder, classes=classes, device=device, batch_size=batch_size)
    if not folder.is_dir():
        raise ClassifierError(
            f"there is no folder {folder}; make a classifier with `llmaug classify train DATA -o "
            f"{folder}`"
        )
    raise ClassifierError(
        f"{folder} is no folder of a classifier: it has neither {ABOUT} (of `llmaug classify "
        f"train`) nor {CONFIG} (of transformers)"
    )
