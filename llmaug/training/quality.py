"""How good a set of negatives is, before anything is trained with it."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from llmaug.training.mined import SOURCES, MinedPair

QUANTILES = (0.1, 0.5, 0.9)


class NegativeQuality(NamedTuple):
    """What there is to know of negatives without training on them.

    `sources` are shares of all negatives, `random` that of those drawn for want of others.
    `margin` is the mean of the positive's cosine less the negative's, `above` the share of
    negatives nearer to the query than their positive (many of them answers that nobody judged),
    `hardness` the 10 %, 50 % and 90 % quantiles of the negatives' cosines. These are None where
    there are no cosines.
    """

    pairs: int
    negatives: int
    sources: dict[str, float]
    random: float
    margin: float | None
    above: float | None
    hardness: tuple[float, float, float] | None

    def __str__(self) -> str:
        shares = ", ".join(f"{share:.0%} {source}" for source, share in self.sources.items())
        text = f"{self.negatives:,} negatives of {self.pairs:,} pairs: {shares or 'none'}"
        if self.margin is not None and self.above is not None and self.hardness is not None:
            low, middle, high = self.hardness
            text += (
                f"; cosine {middle:.3f} ({low:.3f} to {high:.3f}), "
                f"{self.margin:.3f} below the positive's, {self.above:.1%} above it"
            )
        return text


def negative_quality(mined: Iterable[MinedPair]) -> NegativeQuality:
    """The quality of the negatives of these pairs; memory takes 16 bytes for each of them."""
    import numpy as np

    sources: Counter[str] = Counter()
    cosines, margins, pairs = array("d"), array("d"), 0
    for one in mined:
        pairs += 1
        for negative in one.negatives:
            sources[negative.source] += 1
            cosine, positive = negative.scores.dense, one.scores.dense
            if cosine is not None and positive is not None:
                cosines.append(cosine)
                margins.append(positive - cosine)
    total = sources.total()
    shares = {source: sources[source] / total for source in SOURCES if sources[source]}
    margin = above = hardness = None
    if margins:
        margin, above = float(np.mean(margins)), float(np.mean(np.less(margins, 0)))
        low, middle, high = np.quantile(cosines, QUANTILES).tolist()
        hardness = (low, middle, high)
    return NegativeQuality(pairs, total, shares, shares.get("random", 0.0), margin, above, hardness)
