"""Combinations by their names: `mix(weight=0.5)`, `rrf(k=60, weights=(2, 1))`.

How an expansion is used is chosen apart from how it is written. `parse_combination` reads back
what a combination prints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from llmaug.errors import PlanError
from llmaug.retrieval import fuse
from llmaug.retrieval.combination import Combination as Combination
from llmaug.retrieval.combine_rankings import FourWay, Fused, Max
from llmaug.retrieval.combine_text import Alone, Concat, MugiConcat
from llmaug.retrieval.combine_vectors import Mix
from llmaug.retrieval.fuse import Convex, Fusion, ReciprocalRank, parse_fusion
from llmaug.retrieval.one_call import parse_call

MOST_REPEATS = 1_000
R = TypeVar("R", ReciprocalRank, Convex)


def concat(*, repeat: int = 1) -> Combination:
    """One text: the query `repeat` times (5 in Query2doc, for BM25), then the expansions."""
    if isinstance(repeat, bool) or not isinstance(repeat, int) or not 1 <= repeat <= MOST_REPEATS:
        raise PlanError(f"concat: repeat must be a whole number from 1 to {MOST_REPEATS:,}")
    return Concat(repeat)


def mugi_concat(*, beta: float = 6) -> Combination:
    """One text in which the query is repeated the more, the longer the expansions are (MuGI)."""
    if not _is_number(beta) or not 0 < beta < math.inf:
        raise PlanError(f"mugi_concat: beta must be a number above 0, not {beta!r}")
    return MugiConcat(beta)


def mix(*, weight: float = 0.5) -> Combination:
    """One vector: `weight` is the share of the expansions, the rest is the query's."""
    if not _is_number(weight) or not 0 <= weight <= 1:
        raise PlanError(f"mix: weight must be a number from 0 to 1, not {weight!r}")
    return Mix(weight)


def max_of() -> Combination:
    """Each document's best score under the query and its expansions; prints as `max()`."""
    return Max()


def alone() -> Combination:
    """The expansions without the query, to measure them."""
    return Alone()


def rrf(*, k: float = 60, weights: Sequence[float] | None = None) -> Combination:
    """Reciprocal rank fusion of the query's ranking with that of each expansion."""
    return Fused(_counting(fuse.rrf(k=k, weights=weights)))


def convex(*, weights: Sequence[float] | None = None, scale: str = "minmax") -> Combination:
    """The weighted average of the scores under the query and under each expansion."""
    return Fused(_counting(fuse.convex(weights=weights, scale=scale)))


def _counting(rule: R) -> R:
    """The rule, if it leaves something to a query with a single expansion."""
    if rule.weights is not None and not any(rule.weights[:2]):
        raise PlanError(
            f"{rule}: the weights of the query and of its first expansion cannot both be 0"
        )
    return rule


def four_way(
    *,
    dense: str | Combination = "mix(weight=0.5)",
    lexical: str | Combination = "mugi_concat(beta=6)",
    fusion: str | Fusion = "rrf(k=60)",
) -> Combination:
    """Dense and BM25, each with and without the expansions, fused: for the mode hybrid."""
    made = FourWay(
        combination(dense),
        combination(lexical),
        parse_fusion(fusion) if isinstance(fusion, str) else fusion,
    )
    made.check("hybrid")
    return made


COMBINATIONS: dict[str, Callable[..., Combination]] = {
    "mix": mix,
    "concat": concat,
    "mugi_concat": mugi_concat,
    "rrf": rrf,
    "convex": convex,
    "max": max_of,
    "four_way": four_way,
    "alone": alone,
}


def parse_combination(text: str) -> Combination:
    """The combination that a text says; `PlanError` with close matches where there is none."""
    return parse_call(text, COMBINATIONS, kind="combination")


def combination(given: Any) -> Combination:
    """A combination that was given as its text, as itself, or as the rule that fuses rankings."""
    if isinstance(given, Combination):
        return given
    if isinstance(given, Convex) and given.weight is not None:
        return convex(weights=(given.weight, 1 - given.weight), scale=given.scale)
    if isinstance(given, ReciprocalRank | Convex):
        return Fused(given)
    if isinstance(given, str):
        return parse_combination(given)
    raise PlanError(f"a combination is a text such as 'mix(weight=0.5)', not {given!r}")


def default_combination(mode: str, *, fusion: Fusion | None = None) -> Combination:
    """What is used in a mode unless told otherwise, in hybrid mode under this fusion (RRF)."""
    best: dict[str, Combination] = {
        "dense": mix(),
        "bm25": mugi_concat(),
        "hybrid": four_way(fusion=fusion or "rrf(k=60)"),
    }
    return best[mode]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
