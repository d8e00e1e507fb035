"""A small classifier that answers as test-time augmentation does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from llmaug.classify.given_texts import as_texts
from llmaug.classify.small import SmallClassifier, check_regularisation, train
from llmaug.errors import ClassifierError
from llmaug.job import check_opened
from llmaug.request import Embedder
from llmaug.text import Text

if TYPE_CHECKING:
    from llmaug.classify.tta import TTAClassifier


def distil(
    teacher: TTAClassifier,
    texts: Iterable[str | Text],
    *,
    embedder: Embedder,
    regularisation: float,
) -> SmallClassifier:
    """Train on the teacher's answers to texts; what would fail is told before a call is paid."""
    check_regularisation(regularisation)
    check_opened(embedder, None, None)
    given = as_texts(texts)
    if not given or any(not text.text.strip() for text in given):
        raise ClassifierError("there are no texts, or one is empty; leave it out")
    return train(
        [text.text for text in given],
        teacher.predict_proba(given),
        embedder=embedder,
        regularisation=regularisation,
        seed=teacher.seed,
        classes=teacher.classifier_.classes,
    )
