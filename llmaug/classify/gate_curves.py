"""What every gate would cost and bring on the texts that one was fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmaug.classify.calibration import Point
from llmaug.classify.fitting import LEAST_TEXTS
from llmaug.classify.labels import Class
from llmaug.classify.openness import KINDS
from llmaug.request import Classifier
from llmaug.text import Text

if TYPE_CHECKING:
    import numpy as np

    from llmaug.classify.tta import TTAClassifier


class Remembered:
    """A classifier that is asked once about each text, for fitting several times on the same ones.

    Holds its answers in memory. See `Classifier`.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self.name, self.fingerprint = classifier.name, classifier.fingerprint
        self.classes = classifier.classes
        self._known: dict[str, np.ndarray] = {}

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        import numpy as np

        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if new:
            self._known.update(zip(new, self.classifier.probabilities(new), strict=True))
        found = [self._known[text] for text in texts]
        return np.array(found).reshape(len(found), len(self.classes))


def gate_curves(
    fitted: TTAClassifier, texts: Sequence[Text], labels: Sequence[Class]
) -> dict[str, list[Point]]:
    """The curve of every gate by name, all on the same answers.

    `fitted` was fitted on these texts. Where they were rewritten, its language models must be
    `RememberedModel`s, or every gate asks again for what no cache holds. A gate that is learned is
    left out where nothing can be learned: no text was rewritten, or there are too few.
    """
    from llmaug.classify.tta import TTAClassifier

    report = fitted.report_
    curves = {}
    for gate in KINDS:
        if gate == fitted.gate:
            curves[gate] = report.curve
        elif gate != "learned" or (report.rewritten and len(texts) >= LEAST_TEXTS):
            like = TTAClassifier(
                **{**fitted.get_params(deep=False), "gate": gate, "cache": fitted.rewriter_.cache}
            )
            # A loss that nothing exceeds: the texts are rewritten, and no gate is left out.
            like.fit(texts, labels, max_id_loss=1.0 if report.rewritten else None)
            curves[gate] = like.report_.curve
    return curves
