"""The score that a learned gate gives a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from llmaug.errors import RetrievalError
from llmaug.retrieval.predictors import FEATURES, known_feature

if TYPE_CHECKING:
    import numpy as np

MARGIN = 0.1  # how far beyond the range seen in training, in widths of it, a value is trusted


class Weight(NamedTuple):
    """What one feature adds to a score, and what values of it were seen in training."""

    name: str
    mean: float
    scale: float
    weight: float
    low: float
    high: float


@dataclass(frozen=True)
class LinearModel:
    """The score of a query: the weighted sum of its standardised features.

    The higher, the more an expansion is expected to be worth; `kind` says how it was trained.
    """

    kind: str
    intercept: float
    features: tuple[Weight, ...]

    @property
    def names(self) -> list[str]:
        return [feature.name for feature in self.features]

    def scores(self, table: np.ndarray) -> np.ndarray:
        """The scores of queries, rows of features in the order of `names`.

        A value beyond the range seen in training counts as the nearest value that was seen.
        """
        import numpy as np

        low, high, mean, scale, weight = (
            np.array([getattr(feature, part) for feature in self.features])
            for part in ("low", "high", "mean", "scale", "weight")
        )
        scores: np.ndarray = (np.clip(table, low, high) - mean) / scale @ weight + self.intercept
        return scores

    def chosen(self, table: np.ndarray, threshold: float) -> np.ndarray:
        """Which queries score above the threshold and are like those seen in training."""
        chosen: np.ndarray = (self.scores(table) > threshold) & ~self.beyond(table).any(axis=1)
        return chosen

    def beyond(self, table: np.ndarray) -> np.ndarray:
        """Which values of the table were not seen in training, nor near: (queries, features).

        No value of a feature without weight is: one that was the same for all training queries
        decides nothing, so that other values of it are nothing to be careful about.
        """
        import numpy as np

        low, high, weight = (
            np.array([getattr(feature, part) for feature in self.features])
            for part in ("low", "high", "weight")
        )
        margin = MARGIN * (high - low)
        near = (low - margin <= table) & (table <= high + margin)  # NaN is not
        beyond: np.ndarray = ~near & (weight != 0)
        return beyond


def table_of(features: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> np.ndarray:
    """The features of queries as (queries, names), float64; `RetrievalError` where one lacks."""
    import numpy as np

    for query, of in features.items():
        for name in names:
            if name not in of:
                needs = " and ".join(sorted(FEATURES[known_feature(name)].needs)) or "a query"
                raise RetrievalError(
                    f"query {query!r} lacks the feature {name} that the gate looks at, which "
                    f"takes {needs}; search an index that has it, or use another gate"
                )
    rows = [[of[name] for name in names] for of in features.values()]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
