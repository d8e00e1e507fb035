"""Several rankings of the same queries as one: reciprocal rank fusion, convex combination.

A rule is a value whose printed form `parse_fusion` reads back: `rrf(k=60)`,
`rrf(k=60, weights=(0.7, 0.3))`, `convex(weight=0.3, scale='zscore')`.
"""

from __future__ import annotations

import itertools
import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from llmaug.errors import PlanError, RetrievalError, did_you_mean
from llmaug.retrieval.one_call import parse_call

if TYPE_CHECKING:
    from llmaug.retrieval.rankings import Rankings

SCALES = ("minmax", "zscore")


class Points(NamedTuple):
    """What one ranking gives to its documents, and to those that it lacks."""

    of: dict[str, float]
    missing: float


class Fusion:
    """A rule that makes one ranking of several.

    Weights are relative: multiplying all of them by one number changes nothing.
    """

    def points(self, ranking: Mapping[str, float]) -> Points:
        """What a ranking, {document id: score} best first, gives before it is weighted."""
        raise TypeError(f"{type(self).__name__} does not say how it does this")

    def weigh(self, count: int) -> list[float]:
        """The factor of each of so many rankings; `PlanError` where the rule has other weights."""
        raise TypeError(f"{type(self).__name__} does not say how it does this")

    def fuse(self, rankings: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """One query's rankings as one, {document id: score}, best first, ties as in trec_eval.

        Every document of any ranking is in it. Scores are rounded to float32, which is how
        trec_eval reads them, so that evaluation sees this very order. Raises `RetrievalError` for
        a score that is not a finite number.
        """
        if not rankings:
            raise RetrievalError("there are no rankings to fuse")
        weights = self.weigh(len(rankings))
        documents = list(dict.fromkeys(itertools.chain.from_iterable(rankings)))
        columns = []
        for weight, ranking in zip(weights, rankings, strict=True):
            of, missing = self.points(ranking)
            columns.append([weight * of.get(document, missing) for document in documents])
        # fsum, so that the order of the rankings cannot make or break a tie.
        totals = array("f", map(math.fsum, zip(*columns, strict=True)))
        # Strings compare as their UTF-8 does, which is how trec_eval compares ids.
        best_first = sorted(zip(totals.tolist(), documents, strict=True), reverse=True)
        return {document: score for score, document in best_first}


@dataclass(frozen=True, repr=False)
class ReciprocalRank(Fusion):
    """A document's points are 1 / (k + rank), from 1 at the top, and 0 where it is missing.

    Cormack, Clarke and Büttcher, SIGIR 2009, where k is 60. Departure: rankings may be weighted;
    weights are scaled to an average of 1, so that equal ones give the paper's scores.
    """

    k: float
    weights: tuple[float, ...] | None

    def points(self, ranking: Mapping[str, float]) -> Points:
        return Points({id: 1 / (self.k + rank) for rank, id in enumerate(ranking, 1)}, 0.0)

    def weigh(self, count: int) -> list[float]:
        if self.weights is None:
            return [1.0] * count
        return [count * share for share in _shares(self.weights, count, self)]

    def __str__(self) -> str:
        return f"rrf(k={self.k!r}" + (f", weights={self.weights!r})" if self.weights else ")")

    __repr__ = __str__


@dataclass(frozen=True, repr=False)
class Convex(Fusion):
    """The weighted average of scores brought to one scale: Bruch, Gai and Ingber, TOIS 2023.

    `minmax` takes a ranking's lowest score to 0 and its highest to 1; `zscore` takes its mean to 0
    and its standard deviation (of the population) to 1. A document that a ranking lacks counts
    there as the ranking's lowest. Where all scores are equal, as with a single document, minmax
    gives 1 to each and 0 to the others; zscore gives 0 to all. Departure: the paper scores every
    document under both retrievers, here only what each of them found is known.
    """

    weight: float | None
    weights: tuple[float, ...] | None
    scale: str

    def points(self, ranking: Mapping[str, float]) -> Points:
        if not ranking:
            return Points({}, 0.0)
        scores = ranking.values()
        if not math.isfinite(sum(map(abs, scores))):
            wrong = max(ranking, key=lambda id: (not math.isfinite(ranking[id]), abs(ranking[id])))
            raise RetrievalError(
                f"document {wrong!r} has the score {ranking[wrong]}, which cannot be combined; "
                "scores must be finite numbers"
            )
        low, high = min(scores), max(scores)
        if self.scale == "minmax":
            span = high - low
            return Points({id: (s - low) / span if span else 1.0 for id, s in ranking.items()}, 0.0)
        mean = math.fsum(scores) / len(ranking)
        deviation = math.hypot(*(s - mean for s in scores)) / math.sqrt(len(ranking))
        if low == high or not deviation:
            return Points(dict.fromkeys(ranking, 0.0), 0.0)
        return Points(
            {id: (s - mean) / deviation for id, s in ranking.items()}, (low - mean) / deviation
        )

    def weigh(self, count: int) -> list[float]:
        if self.weight is not None:
            return _shares((self.weight, 1 - self.weight), count, self)
        return _shares(self.weights or (1.0,) * count, count, self)

    def __str__(self) -> str:
        text = f"weight={self.weight!r}, " if self.weight is not None else ""
        text += f"weights={self.weights!r}, " if self.weights else ""
        return f"convex({text}scale={self.scale!r})"

    __repr__ = __str__


def rrf(*, k: float = 60, weights: Sequence[float] | None = None) -> ReciprocalRank:
    """Reciprocal rank fusion, which looks at ranks and never at scores."""
    return ReciprocalRank(_number("rrf: k", k), _checked_weights("rrf", weights))


def convex(
    *,
    weight: float | None = None,
    weights: Sequence[float] | None = None,
    scale: str = "minmax",
) -> Convex:
    """Convex combination of scores; `weight` is that of the first of two rankings.

    `weights` has one for each of several rankings. Without either all count alike.
    """
    if weight is not None and weights is not None:
        raise PlanError("convex: give weight (of the first of two rankings) or weights, not both")
    if weight is not None:
        weight = _number("convex: weight", weight)
        if weight > 1:
            raise PlanError(f"convex: weight must be between 0 and 1, not {weight}")
    if scale not in SCALES:
        raise PlanError(f"convex: unknown scale {scale!r}; {did_you_mean(str(scale), SCALES)}")
    return Convex(weight, _checked_weights("convex", weights), scale)


FUSIONS: dict[str, Callable[..., Fusion]] = {"rrf": rrf, "convex": convex}


def parse_fusion(text: str) -> Fusion:
    """The rule that a text says; `PlanError` with close matches where there is none."""
    return parse_call(text, FUSIONS, kind="fusion")


def fuse(
    rankings: Sequence[Rankings], how: Fusion | str = "rrf(k=60)", *, k: int | None = None
) -> Rankings:
    """All queries of several rankings under one rule, each cut to its `k` best documents.

    A query that only some of the rankings have is fused from those.
    """
    rule = parse_fusion(how) if isinstance(how, str) else how
    if k is not None and k < 1:
        raise PlanError(f"a fused ranking keeps at least 1 document, not {k}")
    if not rankings:
        raise RetrievalError("there are no rankings to fuse")
    rule.weigh(len(rankings))
    fused = {}
    for query in dict.fromkeys(itertools.chain.from_iterable(rankings)):
        try:
            found = rule.fuse([ranking.get(query, {}) for ranking in rankings])
        except RetrievalError as error:
            raise RetrievalError(f"query {query!r}: {error}") from None
        fused[query] = dict(itertools.islice(found.items(), k))
    return fused


def _number(what: str, value: Any) -> float:
    right = isinstance(value, int | float) and not isinstance(value, bool)
    if not right or not math.isfinite(value) or value < 0:
        raise PlanError(f"{what} must be a number of at least 0, not {value!r}")
    return value if type(value) is int else float(value)


def _checked_weights(rule: str, weights: Any) -> tuple[float, ...] | None:
    if weights is None:
        return None
    if isinstance(weights, str) or not isinstance(weights, Sequence):
        raise PlanError(f"{rule}: weights must be several numbers, such as (0.7, 0.3)")
    numbers = tuple(_number(f"{rule}: each of weights", weight) for weight in weights)
    if not 0 < sum(numbers) < math.inf:
        raise PlanError(f"{rule}: the sum of weights must be above 0, not {sum(numbers)}")
    return numbers


def _shares(weights: tuple[float, ...], count: int, rule: Fusion) -> list[float]:
    if len(weights) != count:
        raise PlanError(f"{rule} weighs {len(weights)} rankings, but there are {count}")
    total = math.fsum(weights)
    return [weight / total for weight in weights]
