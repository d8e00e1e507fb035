"""Fitting a gate on labelled queries, and telling honestly what it would have brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

from llmaug.errors import RetrievalError
from llmaug.retrieval.gate_curve import choose, cost_curve, feature_curve, threshold_of
from llmaug.retrieval.gate_fitted import Fitted, outcome
from llmaug.retrieval.gate_labelled import Labelled, labelled
from llmaug.retrieval.gate_model import LinearModel
from llmaug.retrieval.gate_purpose import Purpose
from llmaug.retrieval.gate_train import train

if TYPE_CHECKING:
    import numpy as np

FOLDS = 10


class _CrossFitted(NamedTuple):
    """For each row what models of the other folds say: its place, and whether it is expanded."""

    places: np.ndarray
    chosen: np.ndarray


@dataclass(frozen=True)
class _Recipe:
    """Everything that decides which gate comes out of labelled queries."""

    budget: float | None
    most_worse: float | None
    folds: int
    seed: int
    model: str

    def train(self, of: Labelled, rows: np.ndarray) -> LinearModel:
        return train(
            of.table[rows],
            of.expanded[rows] - of.plain[rows],
            names=of.names,
            model=self.model,
        )

    def gate(self, of: Labelled, rows: np.ndarray) -> tuple[LinearModel, float]:
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

    def cross_fit(self, of: Labelled) -> _CrossFitted:
        """Every query decided by a gate from the other folds."""
        import numpy as np

        found = _CrossFitted(np.empty(len(of.ids)), np.empty(len(of.ids), dtype=bool))
        for inside, outside in _folds(of.groups, self.folds, seed=self.seed):
            model, threshold = self.gate(of, inside)
            found.places[outside] = _places(model, of.table[inside], of.table[outside])
            found.chosen[outside] = model.chosen(of.table[outside], threshold)
        return found


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
    purpose: Purpose | None = None,
) -> Fitted:
    """Learn which queries are worth an expansion from the measure of labelled ones.

    `plain` and `expanded` are {query id: measure} without and with expansion. The gate expands at
    most the share `budget` of queries, lets at most the share `most_worse` of all queries become
    worse, and within that has the best mean: limits that hold on the queries seen and only about
    so on others. `use` names the features; by default all that are there before an expansion.
    `groups` {id: group} keeps several rows of one query in one fold. `purpose` is the search that
    was measured: the gate is then refused in others.

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
    of = labelled(features, plain, expanded, use=use, groups=groups)
    recipe = _Recipe(budget, most_worse, folds, seed, model)
    places, chosen = recipe.cross_fit(of)
    final, threshold = recipe.gate(of, np.arange(len(of.ids)))
    measures = of.plain, of.expanded
    outcomes = {
        name: outcome(which, *measures, groups=of.groups)
        for name, which in (
            ("gate", chosen),
            ("always", np.ones(len(of.ids), dtype=bool)),
            ("oracle", of.expanded > of.plain),
        )
    }
    singles = zip(of.names, of.table.T, strict=True)
    return Fitted(
        model=final,
        threshold=threshold,
        unseen=int(np.isneginf(places).sum()),
        decisions=dict(zip(of.ids, chosen.tolist(), strict=True)),
        scores=dict(zip(of.ids, places.tolist(), strict=True)),
        curves={
            "learned": cost_curve(places, *measures),
            "oracle": cost_curve(of.expanded - of.plain, *measures),
            **{name: feature_curve(values, *measures) for name, values in singles},
        },
        **outcomes,
        trained={"queries": len(of.ids), **asdict(recipe)},
        purpose=purpose,
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
