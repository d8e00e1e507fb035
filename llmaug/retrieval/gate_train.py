"""Training a gate's model: ridge regression on the gain, or logistic regression on its sign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmaug.errors import MissingExtra, RetrievalError, did_you_mean
from llmaug.retrieval.gate_model import LinearModel, Weight

if TYPE_CHECKING:
    import numpy as np

MODELS = ("ridge", "logistic")
PENALTY = 1.0  # as strong as the features themselves: few labelled queries teach little


def train(
    table: np.ndarray,
    gain: np.ndarray,
    *,
    names: Sequence[str],
    model: str = "ridge",
    penalty: float = PENALTY,
) -> LinearModel:
    """The model whose score of a query tells best what an expansion gains there.

    `table` is (queries, features) and `gain` the measure with expansion less that without. Ridge
    predicts the gain itself, so that it knows a loss from no change and a large one from a small
    one; logistic predicts whether there is a gain. Both minimise their mean loss (half the
    squared error; log loss) plus half of `penalty` times the squared weights of the standardised
    features, the intercept free, so that features that say the same share their weight. One that
    never varies gets 0.
    """
    import numpy as np

    if model not in MODELS:
        raise RetrievalError(f"no gate model {model!r}; {did_you_mean(str(model), MODELS)}")
    mean, deviation = table.mean(axis=0), table.std(axis=0)
    scale = np.where(deviation > 1e-12 * (1 + np.abs(mean)), deviation, 1.0)
    standard = np.where(scale == deviation, (table - mean) / scale, 0.0)
    if model == "ridge":
        weights, intercept = _ridge(standard, gain, penalty)
    else:
        weights, intercept = _logistic(standard, gain > 0, penalty)
    features = zip(names, mean, scale, weights, table.min(axis=0), table.max(axis=0), strict=True)
    return LinearModel(
        model, intercept, tuple(Weight(name, *map(float, numbers)) for name, *numbers in features)
    )


def _ridge(standard: np.ndarray, gain: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    import numpy as np

    rows, columns = standard.shape
    intercept = float(gain.mean())
    normal = standard.T @ standard / rows + penalty * np.eye(columns)
    return np.linalg.solve(normal, standard.T @ (gain - intercept) / rows), intercept


def _logistic(standard: np.ndarray, gained: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    """Weights and intercept by L-BFGS; a little of the penalty keeps the intercept finite."""
    import numpy as np

    signs = np.where(gained, 1.0, -1.0)
    rows = np.column_stack([standard, np.ones(len(standard))])
    penalties = np.full(rows.shape[1], penalty)
    penalties[-1] = 1e-6

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margins = signs * (rows @ weights)
        wrong = np.exp(-np.logaddexp(0, margins))  # 1 / (1 + exp(margin)), without overflow
        value = np.logaddexp(0, -margins).mean() + penalties @ weights**2 / 2
        return float(value), -(signs * wrong) @ rows / len(rows) + penalties * weights

    found = _optimize().minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B")
    return found.x[:-1], float(found.x[-1])


def _optimize() -> Any:
    try:
        from scipy import optimize
    except ImportError:
        raise MissingExtra("scipy", "retrieval") from None
    return optimize
