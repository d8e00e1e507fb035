"""Fitting a gate on labelled queries, and telling honestly what it would have brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from llmaug.errors import RetrievalError
from llmaug.retrieval.gate_curve import choose, cost_curve, feature_curve, threshold_of
from llmaug.retrieval.gate_fitted import Fitted, outcome
from llmaug.retrieval.gate_model import LinearModel, table_of
from llmaug.retrieval.gate_train import train
from llmaug.retrieval.predictors import FEATURES, known_feature

if TYPE_CHECKING:
    import numpy as np

FEWEST = 30  # labelled queries
FOLDS = 10


class _Labelled(NamedTuple):
    """The queries to learn from, one row each, in the order of their ids."""

    ids: list[str]
    names: list[str]
    table: np.ndarray
    plain: np.ndarray
    expanded: np.ndarray
    groups: np.ndarray  # rows of one number stay in one fold


@dataclass(frozen=True)
class _Recipe:
    """Everything that decides which gate comes out of labelled queries."""

    budget: float | None
    most_worse: float | None
    folds: int
    seed: int
    model: str

    def train(self, of: _Labelled, rows: np.ndarray) -> LinearModel:
        return train(
            of.table[rows],
            of.expanded[rows] - of.plain[rows],
            names=of.names,
            model=self.model,
        )

    def gate(self, of: _Labelled, rows: np.ndarray) -> tuple[LinearModel, float]:
        """The model and threshold that some of the queries, and no others, give.

        The share to expand is chosen on scores from models that did not see the query scored;
        the threshold then is where the model of all these queries expands that share of them.
        """
        import numpy as np

        scores = np.empty(len(rows))
        for inside, outside in _folds(of.groups[rows], self.folds, seed=self.seed + 1):
            seen, unseen = of.table[rows[inside]], of.table[rows[outside]]
            scores[outside] = _places(self.train(of, rows[inside]), seen, unseen)
        best = choose(
            cost_curve(scores, of.plain[rows], of.expanded[rows]),
            budget=self.budget,
            most_worse=self.most_worse,
        )
        model = self.train(of, rows)
        return model, threshold_of(model.scores(of.table[rows]), best.share)


def fit(
    features: Mapping[str, Mapping[str, float]],
    plain: Mapping[str, float],
    expanded: Mapping[str, float],
    *,
    budget: float | None = None,
    most_worse: float | None = None,
    folds: int = FOLDS,
    seed: int = 0,
    use: Sequence[str] | None = None,
    model: str = "ridge",
    groups: Mapping[str, str] | None = None,
) -> Fitted:
    """Learn which queries are worth an expansion from the measure of labelled ones.

    `plain` and `expanded` are {query id: measure} without and with expansion. The gate expands at
    most the share `budget` of queries, lets at most the share `most_worse` of all queries become
    worse, and within that has the best mean: limits that hold on the queries seen and only about
    so on others. `use` names the features; by default all that are there before an expansion.
    `groups` {id: group} keeps several rows of one query in one fold.

    All that `Fitted` reports is cross-fitted: every query is decided by a model and a threshold
    from the other folds alone, the threshold from a second cross-fitting among those. Neither
    the order of the queries nor that of the features changes the result. Raises `RetrievalError`
    for fewer than 30 labelled queries, or where there is nothing to learn.
    """
    import numpy as np

    for name, limit in (("budget", budget), ("most_worse", most_worse)):
        if limit is not None and not 0 <= limit <= 1:
            raise RetrievalError(f"{name} is a share of queries, from 0 to 1, not {limit!r}")
    if folds < 2:
        raise RetrievalError(f"cross-fitting takes at least 2 folds, not {folds}")
    of = _labelled(features, plain, expanded, use=use, groups=groups)
    recipe = _Recipe(budget, most_worse, folds, seed, model)
    scores, chosen = np.empty(len(of.ids)), np.empty(len(of.ids), dtype=bool)
    for inside, outside in _folds(of.groups, folds, seed=seed):
        fold_model, threshold = recipe.gate(of, inside)
        scores[outside] = _places(fold_model, of.table[inside], of.table[outside])
        chosen[outside] = fold_model.chosen(of.table[outside], threshold)
    final, threshold = recipe.gate(of, np.arange(len(of.ids)))
    return Fitted(
        model=final,
        threshold=threshold,
        decisions=dict(zip(of.ids, chosen.tolist(), strict=True)),
        scores=dict(zip(of.ids, scores.tolist(), strict=True)),
        curves={
            "learned": cost_curve(scores, of.plain, of.expanded),
            "oracle": cost_curve(of.expanded - of.plain, of.plain, of.expanded),
            **{
                name: feature_curve(column, of.plain, of.expanded)
                for name, column in zip(of.names, of.table.T, strict=True)
            },
        },
        gate=outcome(chosen, of.plain, of.expanded, groups=of.groups),
        oracle=outcome(of.expanded > of.plain, of.plain, of.expanded, groups=of.groups),
        always=outcome(np.ones(len(of.ids), bool), of.plain, of.expanded, groups=of.groups),
        trained={
            "queries": len(of.ids),
            "budget": budget,
            "most_worse": most_worse,
            "folds": folds,
            "seed": seed,
        },
    )


def _places(model: LinearModel, seen: np.ndarray, table: np.ndarray) -> np.ndarray:
    """For each query the share of those seen in training that score lower.

    The scores themselves must not be compared between folds: a fold that holds many gains was
    left out by a model that saw few, so that its intercept is low, which would turn the curve
    against the model. A query unlike those seen is never expanded, and gets -inf.
    """
    import numpy as np

    ordered, scores = np.sort(model.scores(seen)), model.scores(table)
    lower = np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")
    return np.where(model.beyond(table).any(axis=1), -np.inf, lower / (2 * len(ordered)))


def _folds(groups: np.ndarray, folds: int, *, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The rows inside and outside of training for each fold, groups kept whole."""
    import numpy as np

    distinct, number = np.unique(groups, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(distinct))[number] % folds
    return [
        (np.flatnonzero(fold != held), np.flatnonzero(fold == held))
        for held in range(min(folds, len(distinct)))
    ]


def _labelled(
    features: Mapping[str, Mapping[str, float]],
    plain: Mapping[str, float],
    expanded: Mapping[str, float],
    *,
    use: Sequence[str] | None,
    groups: Mapping[str, str] | None,
) -> _Labelled:
    """The queries and features to learn from; `RetrievalError` where they will not do."""
    import numpy as np

    for id in plain.keys() ^ expanded.keys():
        has, lacks = ("without", "with") if id in plain else ("with", "without")
        raise RetrievalError(
            f"query {id!r} was measured {has} expansion and not {lacks}; measure the same queries"
        )
    ids = sorted(plain.keys() & features.keys())
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
    if not (np.isfinite(table).all() and np.isfinite(before).all() and np.isfinite(after).all()):
        raise RetrievalError(
            "a feature or a measure is not a finite number; a gate cannot learn it"
        )
    if not np.ptp(after - before):
        raise RetrievalError(
            "expansion changes every query by the same amount, so there is nothing to learn; "
            "take always() or never()"
        )
    if not np.ptp(table, axis=0).any():
        raise RetrievalError(
            "no feature differs between the queries, so there is nothing to learn from; "
            "name others, or take always() or never()"
        )
    return _Labelled(ids, names, table, before, after, np.array([group_of[id] for id in ids]))


def _names(features: Sequence[Mapping[str, Any]], use: Sequence[str] | None) -> list[str]:
    """The features to use, sorted: those named, else what every query has before an expansion."""
    if use is not None:
        return sorted({known_feature(name) for name in use})
    shared = set.intersection(*(set(of) for of in features)) & FEATURES.keys()
    return sorted(name for name in shared if "expansion" not in FEATURES[name].needs)
