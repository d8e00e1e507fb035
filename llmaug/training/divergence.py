"""How far synthetic queries are from real ones: how well a classifier tells them apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from llmaug.errors import MissingExtra, RetrievalError
from llmaug.request import Embedder
from llmaug.significance import Interval

if TYPE_CHECKING:
    import numpy as np

FEWEST = 20  # queries of each kind
FOLDS = 5
MOST = 2_000  # queries of each kind that are looked at


@dataclass(frozen=True, slots=True)
class Divergence:
    """How well real and synthetic queries are told apart.

    `auc` is the chance that a synthetic query looks more synthetic than a real one: 0.5 where they
    cannot be told apart, 1 where always. `interval` is its 95 % interval. `lower_bound_tv` is the
    least total variation distance of the two that an AUC so high allows.
    """

    auc: float
    interval: Interval
    lower_bound_tv: float
    real: int
    synthetic: int

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"AUC {self.auc:.3f} [{low:.3f}, {high:.3f}] of {self.real:,} real against "
            f"{self.synthetic:,} synthetic queries; total variation at least about "
            f"{self.lower_bound_tv:.2f}"
        )


def divergence(
    real: Sequence[str], synthetic: Sequence[str], embedder: Embedder, *, seed: int = 0
) -> Divergence:
    """Tell real from synthetic queries by a logistic regression on their vectors, cross-validated.

    A proxy for the divergence that decides how much generated data helps (Zheng et al. 2023,
    arXiv 2305.17476): it sees only what this embedder and a linear classifier see, and a
    difference in topics counts as much as one in style. Every query is scored by a classifier of
    the other folds (5, stratified) and compared with the other kind within its fold; the interval
    is DeLong's (1988), without width where the two are told apart without an error. Copies of a
    query count once, and of each kind 2,000 at most, drawn, are looked at.

    A scorer that separates two distributions of total variation d has an AUC of at most
    1 - (1 - d)² / 2. So d is at least 1 - sqrt(2 - 2 AUC); 2 AUC - 1 itself is no lower bound.

    Raises `RetrievalError` for fewer than 20 different queries of a kind.
    """
    import numpy as np

    kinds = [_chosen(texts, seed=seed) for texts in (real, synthetic)]
    for name, texts in zip(("real", "synthetic"), kinds, strict=True):
        if len(texts) < FEWEST:
            raise RetrievalError(
                f"{len(texts)} different {name} queries say nothing about their divergence; it "
                f"takes at least {FEWEST}"
            )
    vectors = np.concatenate([embedder.encode(texts, side="query") for texts in kinds])
    is_synthetic = np.repeat([False, True], [len(texts) for texts in kinds])
    places = _places(vectors, is_synthetic, seed=seed)
    auc = float(places[is_synthetic].mean() + places[~is_synthetic].mean()) / 2
    error = math.sqrt(
        sum(float(of.var(ddof=1)) / len(of) for of in (places[is_synthetic], places[~is_synthetic]))
    )
    reach = NormalDist().inv_cdf(0.975) * error
    return Divergence(
        auc,
        Interval(max(0.0, auc - reach), min(1.0, auc + reach)),
        max(0.0, 1 - math.sqrt(2 - 2 * min(auc, 1.0))),
        real=len(kinds[0]),
        synthetic=len(kinds[1]),
    )


def different(texts: Sequence[str]) -> list[str]:
    """The texts that differ by more than white space, each once and in one order."""
    return sorted({" ".join(text.split()) for text in texts})


def _chosen(texts: Sequence[str], *, seed: int) -> list[str]:
    """The different ones of the texts in one order, and not too many of them."""
    import numpy as np

    found = different(texts)
    if len(found) <= MOST:
        return found
    chosen = np.random.default_rng(seed).choice(len(found), size=MOST, replace=False)
    return [found[int(place)] for place in sorted(chosen)]


def _places(vectors: np.ndarray, is_synthetic: np.ndarray, *, seed: int) -> np.ndarray:
    """For each query the share of the other kind in its fold that is on the right side of it.

    Scores of different folds come from different classifiers and are not compared.
    """
    import numpy as np

    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold
    except ImportError:
        raise MissingExtra("scikit-learn", "train") from None

    places = np.empty(len(vectors))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for seen, unseen in folds.split(vectors, is_synthetic):
        # Vectors of unit length vary little in each column, hence the weak penalty.
        model = LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)
        model.fit(vectors[seen], is_synthetic[seen])
        scores = model.decision_function(vectors[unseen])
        kind = is_synthetic[unseen]
        above = scores[kind][:, None] - scores[~kind][None, :]
        wins = (above > 0) + 0.5 * (above == 0)
        places[unseen[kind]], places[unseen[~kind]] = wins.mean(axis=1), wins.mean(axis=0)
    return places
