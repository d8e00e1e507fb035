"""From the probabilities of a text and of its rewrites to one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmaug.classify.votes import Votes
from llmaug.errors import PlanError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

KINDS = ("mean", "logits", "vote", "entropy", "learned")
LEAST = 1e-4  # a probability as the logarithm sees it


class Weights(NamedTuple):
    """How much the text and its rewrites count in a learned aggregation.

    `original` is the weight of the text, `sources` those of the rewrites by the source of the plan
    that wrote them; `faithful` tilts them within a text, from exp(faithful / 2) for the rewrite
    most like it to exp(-faithful / 2) for the least. `logits` says what is averaged.
    """

    original: float
    sources: tuple[float, ...]
    faithful: float = 0.0
    logits: bool = False


def check_kind(kind: str) -> None:
    """Raise `PlanError` for an unknown aggregation."""
    if kind not in KINDS:
        raise PlanError(f"unknown aggregation {kind!r}; {did_you_mean(str(kind), KINDS)}")


def aggregated(votes: Votes, kind: str, weights: Weights | None = None) -> np.ndarray:
    """(n, classes): one distribution for each text; without rewrites, that of the text itself.

    - mean: of probabilities (the ablations of O'Brien et al. 2024, arXiv 2402.08225).
    - logits: of log-probabilities, their product (the main results there).
    - vote: the share of texts that say a class; ties are broken by the mean.
    - entropy: mean of probabilities, each text weighted by how sure it is, 1 - entropy / log c.
    - learned: by `weights` (after Shanmugam et al. 2021, arXiv 2011.11156).
    """
    import numpy as np

    everything = np.concatenate([votes.original[:, None], votes.variants], axis=1)
    there = np.concatenate([np.ones((len(votes.original), 1), bool), votes.seen()], axis=1)
    chances = np.where(there[:, :, None], everything, 1 / everything.shape[2])
    if kind == "vote":
        said = np.eye(chances.shape[2])[chances.argmax(axis=2)]
        chances = said + 1e-6 * chances
    count = there.astype(float)
    if kind == "entropy":
        # A text that is wholly unsure still counts a little, or nothing would where all are.
        count *= np.maximum(1 - entropy(chances), 1e-9)
    if kind == "learned" and weights is not None:
        count = weighted(votes, weights)
    count /= count.sum(axis=1, keepdims=True)
    if kind == "logits" or (kind == "learned" and weights is not None and weights.logits):
        summed = (count[:, :, None] * np.log(np.maximum(chances, LEAST))).sum(axis=1)
        chances = np.exp(summed - summed.max(axis=1, keepdims=True))
    else:
        chances = (count[:, :, None] * chances).sum(axis=1)
    found = np.asarray(chances / chances.sum(axis=1, keepdims=True))
    # To the last bit what the classifier said, whatever the arithmetic above does to it.
    rewritten = np.asarray(votes.seen().any(axis=1))
    return np.where(rewritten[:, None], found, votes.original)


def weighted(votes: Votes, weights: Weights) -> np.ndarray:
    """(n, 1 + k): the weight of each text and of its rewrites, 0 where there is none."""
    import numpy as np

    seen = votes.seen()
    if not seen.shape[1]:
        return np.full((len(seen), 1), weights.original)
    of_variants = np.asarray(weights.sources)[votes.source] * seen
    of_variants *= np.exp(weights.faithful * tilt(votes))
    return np.concatenate([np.full((len(seen), 1), weights.original), of_variants], axis=1)


def tilt(votes: Votes) -> np.ndarray:
    """(n, k): 0.5 for the rewrite most like its text, -0.5 for the least; 0 where not known."""
    import numpy as np

    known = votes.seen() & ~np.isnan(votes.likeness)
    order = np.argsort(np.where(known, -votes.likeness, np.inf), axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    last = known.sum(axis=1, keepdims=True) - 1
    return np.where(known & (last > 0), 0.5 - rank / np.maximum(last, 1), 0.0)


def entropy(chances: np.ndarray) -> np.ndarray:
    """Of distributions along the last axis, as a share of the largest possible, from 0 to 1."""
    import numpy as np

    safe = np.where(chances > 0, chances, 1)
    return np.asarray(-(chances * np.log(safe)).sum(axis=-1) / np.log(chances.shape[-1]))
