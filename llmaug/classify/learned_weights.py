"""Weights of a text and its rewrites, learned from labelled texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmaug.classify.aggregation import Weights, aggregated
from llmaug.classify.votes import Votes
from llmaug.errors import MissingExtra

if TYPE_CHECKING:
    import numpy as np

SHRINKAGE = 0.01  # of the squared logarithms of weights, towards the plain mean
FOLDS = 5
MOST = 4.0  # of the logarithm of a weight
TINY = 1e-9


def learn(votes: Votes, truth: np.ndarray, *, sources: int, seed: int = 0) -> Weights:
    """The weights under which the labels of n texts are likeliest; `truth` are class numbers.

    The likelihood is that of the aggregate at its best temperature, so that weights say whom to
    believe and not how sure to be; their logarithms are shrunk to 0, which is the plain mean.
    Whether probabilities or logits are averaged is chosen by cross-validation. After Shanmugam
    et al. 2021 (arXiv 2011.11156), with one weight for each source of rewrites and one for their
    likeness to the text in place of one for each augmentation and class.
    """
    import numpy as np

    folds = np.random.default_rng(seed).permutation(len(truth)) % FOLDS
    losses = [0.0, 0.0]
    for fold in range(FOLDS):
        test, train = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if not len(test) or not len(train):
            continue
        for logits in (False, True):
            found = _fitted(votes.of_rows(train), truth[train], sources=sources, logits=logits)
            losses[logits] += len(test) * _loss(found, votes.of_rows(test), truth[test], logits)
    best = losses[1] < losses[0]
    return _weights(_fitted(votes, truth, sources=sources, logits=best), logits=best)


def _fitted(votes: Votes, truth: np.ndarray, *, sources: int, logits: bool) -> np.ndarray:
    """The parameters: logarithms of the weights of the text and of each source, tilt, heat."""
    import numpy as np

    try:
        from scipy.optimize import minimize
    except ImportError:
        raise MissingExtra("scipy", "classify") from None

    def loss(parameters: np.ndarray) -> float:
        shrunk = SHRINKAGE * float((parameters[:-1] ** 2).sum()) / 2
        return _loss(parameters, votes, truth, logits) + shrunk

    size = sources + 3
    found: Any = minimize(loss, np.zeros(size), method="L-BFGS-B", bounds=[(-MOST, MOST)] * size)
    return np.asarray(found.x)


def _loss(parameters: np.ndarray, votes: Votes, truth: np.ndarray, logits: bool) -> float:
    """The mean negative log-likelihood."""
    import numpy as np

    chances = aggregated(votes, "learned", _weights(parameters, logits=logits))
    heated = np.exp(parameters[-1]) * np.log(np.maximum(chances, TINY))
    of_truth = heated[np.arange(len(truth)), truth]
    return float((np.logaddexp.reduce(heated, axis=1) - of_truth).mean())


def _weights(parameters: np.ndarray, *, logits: bool) -> Weights:
    import numpy as np

    original, *sources = np.exp(parameters[:-2]).tolist()
    return Weights(original, tuple(sources), float(parameters[-2]), bool(logits))
