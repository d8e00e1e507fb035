"""When a decision is settled: the sequential rule that decides whether to ask for a rewrite.

The rewrites of a text are draws of what the classifier could have read instead. For two classes,
let d be the difference of their probabilities (their margin) in the text itself. The margins of
its rewrites scatter around a mean of their own with the standard deviation `within`, and that mean
lies around d with the standard deviation `between`. So after some rewrites one knows (Bayes with
normal distributions) what those still to come will be like, and with which chance they turn the
final mean to another class. Below a set chance nothing more is asked for. Before the first rewrite
the same chance is a gate.

A sequential test on a running mean, in the spirit of Wald (1945); the normal model is ours.
Probabilities are bounded and their margins are not normal: the chance is a score to set a threshold
on, not a promise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, cast

from llmaug.errors import MissingExtra

if TYPE_CHECKING:
    import numpy as np

SETTLED = 0.01  # no more rewrites below this chance that they change the decision
LEAST = 1e-3  # of a standard deviation: a classifier that never wavers has no spread to divide by
DRAWS, MOST_DRAWN = 64, 30_000  # simulated texts for each real one, and together


class Spread(NamedTuple):
    """How the margins of rewrites scatter: around their own mean, and that around the text's."""

    within: float
    between: float


def flip_chance(
    original: np.ndarray,
    total: np.ndarray,
    counts: np.ndarray,
    left: np.ndarray,
    *,
    spread: Spread,
    decision: np.ndarray | None = None,
) -> np.ndarray:
    """The chance that the rewrites still to come change the decision, for each of n texts.

    `original` (n, classes) are the probabilities of the texts, `total` (n, classes) the sums of
    those of their `counts` rewrites so far, `left` how many may follow. `decision` is the present
    one, the largest mean of all if not given. Of several other classes the likeliest counts.
    """
    import numpy as np

    rows = np.arange(len(original))
    summed = original + total
    if decision is None:
        decision = summed.argmax(axis=1)
    before = original[rows, decision][:, None] - original  # (n, classes): margin over each class
    drawn = total[rows, decision][:, None] - total
    precision = (1 / spread.between**2 + counts / spread.within**2)[:, None]
    mean = (before / spread.between**2 + drawn / spread.within**2) / precision
    to_come = left[:, None]
    deviation = np.sqrt(to_come * spread.within**2 + to_come**2 / precision)
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = _normal()(-(before + drawn + to_come * mean) / deviation)
    chance[rows, decision] = 0
    chance[left == 0] = 0
    return np.asarray(chance.max(axis=1))


def spread_of(original: np.ndarray, variants: np.ndarray) -> Spread:
    """The spread seen in the rewrites of n texts: (n, k, classes), NaN where one is missing.

    By moments, on the margin of the two best classes of each text. Raises `ValueError` where no
    text has two rewrites.
    """
    import numpy as np

    best, second = np.argsort(-original, axis=1, kind="stable")[:, :2].T
    rows = np.arange(len(original))
    margin = original[rows, best] - original[rows, second]
    of_variants = variants[rows, :, best] - variants[rows, :, second]
    counts = (~np.isnan(of_variants)).sum(axis=1)
    seen = counts >= 2
    if not seen.any():
        raise ValueError("no text has two rewrites")
    margin, of_variants, counts = margin[seen], of_variants[seen], counts[seen]
    within = float(np.nanvar(of_variants, axis=1, ddof=1).mean())
    means = np.nanmean(of_variants, axis=1)
    between = float(((means - margin) ** 2 - within / counts).mean())
    return Spread(max(within**0.5, LEAST), max(max(between, 0) ** 0.5, LEAST))


def spread_between_texts(original: np.ndarray) -> Spread:
    """What to expect before any rewrite was seen: as much as the margins of texts differ."""
    import numpy as np

    ordered = np.sort(original, axis=1)
    deviation = max(float((ordered[:, -1] - ordered[:, -2]).std()), LEAST)
    return Spread(deviation, deviation)


def expected_calls(
    original: np.ndarray, *, size: int, chance: float, spread: Spread, seed: int
) -> np.ndarray:
    """How many of `size` rewrites each of n texts is expected to need until it is settled.

    Simulated from the model above on the two best classes, up to 64 times for each text; the first
    rewrite is always asked for.
    """
    import numpy as np

    draw = np.random.default_rng(seed)
    ordered = np.sort(original, axis=1)[:, ::-1][:, :2]
    draws = min(DRAWS, max(1, MOST_DRAWN // max(1, len(original))))
    two = np.repeat(ordered, draws, axis=0)
    margin = two[:, 0] - two[:, 1]
    mean = margin + spread.between * draw.standard_normal(len(two))
    calls = np.zeros(len(two))
    asking = np.ones(len(two), dtype=bool)
    total = np.zeros_like(two)
    for count in range(1, size + 1):
        calls += asking
        half = (mean + spread.within * draw.standard_normal(len(two))) / 2
        total += np.stack([half, -half], axis=1)
        counts = np.full(len(two), count)
        asking = asking & (
            flip_chance(two, total, counts, np.full(len(two), size - count), spread=spread)
            >= chance
        )
    return np.asarray(calls.reshape(-1, draws).mean(axis=1))


def _normal() -> Callable[[np.ndarray], np.ndarray]:
    try:
        from scipy.special import ndtr
    except ImportError:
        raise MissingExtra("scipy", "classify") from None
    return cast("Callable[[np.ndarray], np.ndarray]", ndtr)
