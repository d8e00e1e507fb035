"""The labelled queries that a gate learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from llmaug.errors import RetrievalError
from llmaug.retrieval.gate_model import table_of
from llmaug.retrieval.predictors import FEATURES, known_feature

if TYPE_CHECKING:
    import numpy as np

FEWEST = 30  # labelled queries


class Labelled(NamedTuple):
    """The queries to learn from, one row each, in the order of their ids."""

    ids: list[str]
    names: list[str]
    table: np.ndarray
    plain: np.ndarray
    expanded: np.ndarray
    groups: np.ndarray  # rows of one number stay in one fold


def labelled(
    features: Mapping[str, Mapping[str, float]],
    plain: Mapping[str, float],
    expanded: Mapping[str, float],
    *,
    use: Sequence[str] | None,
    groups: Mapping[str, str] | None,
) -> Labelled:
    """The queries and features to learn from; `RetrievalError` where they will not do."""
    import numpy as np

    for id in sorted(plain.keys() ^ expanded.keys()):
        has, lacks = ("without", "with") if id in plain else ("with", "without")
        raise RetrievalError(
            f"query {id!r} was measured {has} expansion and not {lacks}; measure the same queries"
        )
    ids = sorted(plain)
    for id in ids:
        if id not in features:
            raise RetrievalError(f"query {id!r} is labelled and has no features; give it some")
    group_of = {id: (groups or {}).get(id, id) for id in ids}
    count = len(set(group_of.values()))
    if count < FEWEST:
        raise RetrievalError(
            f"a gate learns from at least {FEWEST} labelled queries, not {count}; "
            "label more, or take threshold(…), always() or never()"
        )
    names = _names([features[id] for id in ids], use)
    table = table_of({id: features[id] for id in ids}, names)
    before, after = (np.array([float(of[id]) for id in ids]) for of in (plain, expanded))
    found = Labelled(ids, names, table, before, after, np.array([group_of[id] for id in ids]))
    _check_variation(found)
    return found


def _check_variation(of: Labelled) -> None:
    """Raise `RetrievalError` where there is nothing to learn, or nothing to learn it from."""
    import numpy as np

    if not all(np.isfinite(values).all() for values in (of.table, of.plain, of.expanded)):
        raise RetrievalError(
            "a feature or a measure is not a finite number; a gate cannot learn it"
        )
    if not np.ptp(of.expanded - of.plain):
        raise RetrievalError(
            "expansion changes every query by the same amount, so there is nothing to learn; "
            "take always() or never()"
        )
    if not np.ptp(of.table, axis=0).any():
        raise RetrievalError(
            "no feature differs between the queries, so there is nothing to learn from; "
            "name others, or take always() or never()"
        )


def _names(features: Sequence[Mapping[str, Any]], use: Sequence[str] | None) -> list[str]:
    """The features to use, sorted: those named, else what every query has before an expansion."""
    if use is not None:
        return sorted({known_feature(name) for name in use})
    shared = set.intersection(*(set(of) for of in features)) & FEATURES.keys()
    return sorted(name for name in shared if "expansion" not in FEATURES[name].needs)
