"""How open the decision on a text is, before it is rewritten: what gates set a threshold on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from llmaug.classify.aggregation import entropy
from llmaug.classify.settled import Spread, flip_chance
from llmaug.errors import PlanError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

KINDS = ("settled", "entropy", "margin", "max_probability", "learned")
FEATURES = ("entropy", "margin", "max_probability", "log_words")
RIDGE = 10.0  # the weight of a penalty on the weights of standardised features
LEAST_SCALE = 1e-9  # what scatters less is the same everywhere, but for rounding


class GainModel(NamedTuple):
    """A linear model of what rewriting a text gains: of standardised `FEATURES`, in order."""

    intercept: float
    weights: tuple[float, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]


def check_kind(kind: str) -> None:
    """Raise `PlanError` for an unknown gate."""
    if kind not in KINDS:
        raise PlanError(f"unknown gate {kind!r}; {did_you_mean(str(kind), KINDS)}")


def openness(
    kind: str,
    chances: np.ndarray,
    texts: Sequence[str],
    *,
    size: int,
    spread: Spread,
    model: GainModel | None = None,
) -> np.ndarray:
    """(n,): the higher, the more open is the decision on texts with these probabilities.

    - settled: the chance that `size` rewrites change the decision (see `settled`).
    - entropy: of the probabilities, as a share of the largest possible (O'Brien et al. 2024).
    - margin: 1 less the difference of the two best; max_probability: 1 less the best.
    - learned: the gain that `model` expects of rewriting.
    """
    import numpy as np

    if kind == "settled":
        none = np.zeros(len(chances))
        left = np.full(len(chances), size)
        return flip_chance(chances, np.zeros_like(chances), none, left, spread=spread)
    if kind == "learned":
        assert model is not None
        standard = (features(chances, texts) - np.array(model.means)) / np.array(model.scales)
        return np.asarray(model.intercept + standard @ np.array(model.weights))
    return features(chances, texts)[:, FEATURES.index(kind)]


def features(chances: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """(n, 4): what a gate can know of a text for nothing."""
    import numpy as np

    ordered = np.sort(chances, axis=1)
    words = np.array([len(text.split()) for text in texts], dtype=float)
    columns = [entropy(chances), 1 - (ordered[:, -1] - ordered[:, -2]), 1 - ordered[:, -1]]
    return np.column_stack([*columns, np.log1p(words)])


def learn(chances: np.ndarray, texts: Sequence[str], gains: np.ndarray) -> GainModel:
    """A ridge regression of gains: +1 where rewriting corrects a text, -1 where it spoils it."""
    import numpy as np

    found = features(chances, texts)
    means, scales = found.mean(axis=0), found.std(axis=0)
    scales[scales < LEAST_SCALE] = 1
    standard = (found - means) / scales
    penalty = RIDGE * np.eye(standard.shape[1])
    weights = np.linalg.solve(standard.T @ standard + penalty, standard.T @ (gains - gains.mean()))
    return GainModel(
        float(gains.mean()), tuple(weights.tolist()), tuple(means.tolist()), tuple(scales.tolist())
    )
