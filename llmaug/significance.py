"""Whether a difference between two rankings is more than luck.

Everything here works on `differences`: for each query, the score of one ranking minus that of the
other. Where nothing else is said, their order does not matter and never changes a result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

from llmaug.errors import MissingExtra

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

RESAMPLES = 10_000
BLOCK = 2**21  # signs or draws held in memory at once: 16 MB as float64
ALTERNATIVES = ("two-sided", "greater")
NOISE = 1e-10  # sums closer than this, relative to the sum of all sizes, are the same sum


class Interval(NamedTuple):
    """The lower and upper end of a confidence interval."""

    low: float
    high: float


def paired_randomisation(
    differences: ArrayLike,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    alternative: str = "two-sided",
) -> float:
    """The chance of a mean at least this far from zero if the two rankings were interchangeable.

    Two-sided, or with `alternative="greater"` of a mean at least this high. Under that hypothesis
    each difference could as well have the other sign. All sign patterns are tried where
    `resamples` allows it, and p is the share of those at least as extreme; otherwise `resamples`
    patterns are drawn, and p = (b + 1) / (m + 1) where b of m are (Phipson & Smyth 2010), which
    is never 0. Sums that differ only by rounding count as equal.
    """
    import numpy as np

    if alternative not in ALTERNATIVES:
        raise ValueError(f"alternative is one of {', '.join(ALTERNATIVES)}, not {alternative!r}")
    folded = np.abs if alternative == "two-sided" else np.asarray
    values = _checked(differences)
    sizes = np.sort(np.abs(values))
    observed = float(folded(values.sum()))
    everything = float(sizes.sum())
    threshold = observed - NOISE * everything
    # A difference of zero has no sign to flip, and drops out of every sum.
    sizes = sizes[sizes > 0]
    exact = 2 ** len(sizes) <= resamples
    patterns = _every_pattern(len(sizes)) if exact else _drawn(len(sizes), resamples, seed=seed)
    extreme = sum(
        int(np.count_nonzero(folded(2 * (positive @ sizes) - everything) >= threshold))
        for positive in patterns
    )
    return extreme / 2 ** len(sizes) if exact else (extreme + 1) / (resamples + 1)


def bootstrap_interval(
    differences: ArrayLike, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The confidence interval of the mean difference, from means over queries drawn again.

    The percentile bootstrap (Efron & Tibshirani 1993, chapter 13). Differences that are all the
    same give an interval without width, which says nothing about other queries.
    """
    import numpy as np

    ordered = np.sort(_checked(differences))
    if ordered[0] == ordered[-1]:
        return Interval(float(ordered[0]), float(ordered[0]))
    drawn = _scipy_stats().bootstrap(
        (ordered,),
        np.mean,
        vectorized=True,
        method="percentile",
        confidence_level=level,
        n_resamples=resamples,
        batch=max(1, BLOCK // len(ordered)),
        rng=np.random.default_rng(seed),
    )
    low, high = drawn.confidence_interval
    return Interval(float(low), float(high))


def mcnemar(right_a: ArrayLike, right_b: ArrayLike) -> float:
    """The chance of so uneven a split if two classifiers were right equally often, two-sided.

    `right_a` and `right_b` say for each text whether either is right. Of the texts that only one
    has right, each classifier has half but for luck (McNemar 1947): the exact binomial test of
    that. 1.0 where there is no such text.
    """
    import numpy as np

    first, second = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError("both classifiers need one value for each of the same texts")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    discordant = only_first + only_second
    if not discordant:
        return 1.0
    return float(_scipy_stats().binomtest(only_first, discordant, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected so that any false finding in the family has at most the stated chance.

    In the order given (Holm 1979). Needs no assumption about how the tests depend on each other.
    """
    corrected, highest, tests = [0.0] * len(p_values), 0.0, len(p_values)
    for rank, place in enumerate(sorted(range(tests), key=lambda place: p_values[place])):
        highest = max(highest, min(1.0, (tests - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def max_t(differences: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> list[float]:
    """One-sided p-values of several means, corrected for how many were tested, as `holm` does.

    `differences` is (queries, tests): each test's rankings less those of one baseline. The
    step-down procedure of Westfall & Young (1993) with flips of sign (Boytsov et al., SIGIR 2013):
    all tests of a query flip together, so that tests that go together, as those of similar models
    do, cost less than under Holm. p = (b + 1) / (m + 1). Another order of the queries moves p
    within the noise of drawing. A test without any difference has p = 1.
    """
    import numpy as np

    values = _checked_table(differences)
    # Over the root of the sum of squares, which no flip changes, a sum rises with its t statistic.
    lengths = np.linalg.norm(values, axis=0)
    scaled = values / np.where(lengths > 0, lengths, 1)
    observed = scaled.sum(axis=0)
    order = np.argsort(-observed, kind="stable")
    scaled, observed = scaled[:, order], observed[order]
    reached = np.zeros(len(order), dtype=np.int64)
    for positive in _drawn(len(values), resamples, seed=seed):
        flipped = 2 * (positive @ scaled) - observed
        # Each test against the highest of those that are not above it.
        highest = np.maximum.accumulate(flipped[:, ::-1], axis=1)[:, ::-1]
        reached += np.count_nonzero(highest >= observed - NOISE, axis=0)
    corrected = np.empty(len(order))
    corrected[order] = np.maximum.accumulate((reached + 1) / (resamples + 1))
    corrected[lengths == 0] = 1.0
    return [float(p) for p in corrected]


def detectable_difference(
    differences: ArrayLike, *, power: float = 0.8, level: float = 0.05
) -> float:
    """The smallest true mean difference that this many queries would show with that `power`.

    For a two-sided test at `level`, in the normal approximation: (z(1 - level/2) + z(power)) x SD
    / sqrt(n), 2.80 x SD / sqrt(n) as set. Infinite for a single query.
    """
    values = _checked(differences)
    if len(values) < 2:
        return math.inf
    normal = NormalDist()
    quantiles = normal.inv_cdf(1 - level / 2) + normal.inv_cdf(power)
    return quantiles * _spread(values) / math.sqrt(len(values))


def effect_size(differences: ArrayLike) -> float:
    """Cohen's d for pairs: the mean difference in standard deviations of the differences.

    Infinite where all differences are the same and not zero.
    """
    values = _checked(differences)
    mean, spread = float(values.mean()), _spread(values)
    if spread == 0:
        return math.copysign(math.inf, mean) if mean else 0.0
    return mean / spread


def _scipy_stats() -> Any:
    try:
        from scipy import stats
    except ImportError:
        raise MissingExtra("scipy", "retrieval") from None
    return stats


def _checked(differences: ArrayLike) -> np.ndarray:
    import numpy as np

    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError("differences must be one number for each of at least one query")
    if not np.isfinite(values).all():
        raise ValueError("differences must be finite numbers; one is NaN or infinite")
    return values


def _checked_table(differences: ArrayLike) -> np.ndarray:
    import numpy as np

    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(
            "differences must be a table of finite numbers: a row for each of at least one query, "
            "a column for each of at least one test"
        )
    return values


def _spread(values: np.ndarray) -> float:
    """The standard deviation (n - 1); exactly 0 where all values are the same."""
    return 0.0 if values.min() == values.max() else float(values.std(ddof=1))


def _every_pattern(width: int) -> Iterator[np.ndarray]:
    """All sign patterns, a block of them at a time: 1.0 where the sign is plus."""
    import numpy as np

    rows = max(1, BLOCK // max(1, width))
    for start in range(0, 2**width, rows):
        numbers = np.arange(start, min(start + rows, 2**width))
        yield (numbers[:, None] >> np.arange(width) & 1).astype(np.float64)


def _drawn(width: int, count: int, *, seed: int) -> Iterator[np.ndarray]:
    """`count` random sign patterns, likewise."""
    import numpy as np

    generator = np.random.default_rng(seed)
    octets = -(-width // 8)
    rows = max(1, BLOCK // width)
    for start in range(0, count, rows):
        shape = (min(rows, count - start), octets)
        bits = np.frombuffer(generator.bytes(shape[0] * octets), dtype=np.uint8).reshape(shape)
        yield np.unpackbits(bits, axis=1, count=width).astype(np.float64)
