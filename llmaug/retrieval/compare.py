"""Rankings against a baseline, query by query: how large is the difference, and is it luck?"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmaug import significance
from llmaug.errors import LlmaugError, did_you_mean
from llmaug.retrieval.collection import named_qrels
from llmaug.retrieval.comparison import POWER, Comparison, Row
from llmaug.retrieval.measure import Evaluation, evaluate
from llmaug.retrieval.qrels import Qrels
from llmaug.retrieval.rankings import Rankings
from llmaug.significance import RESAMPLES

if TYPE_CHECKING:
    import numpy as np

SAME = 1e-12  # scores of one query this close differ by rounding only


def compare(
    rankings: Mapping[str, Rankings | str | Path],
    qrels: Qrels | str | Path,
    *,
    baseline: str,
    measures: Sequence[str] = ("nDCG@10",),
    averaging: str = "judged",
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Test every ranking against the one called `baseline`, query by query.

    With `averaging="judged"` over all judged queries, a missing one counting 0; with "beir" over
    those that both rankings answer. Rankings and qrels may be files, as for `evaluate`.
    Raises `LlmaugError` for a baseline that is not among the rankings, and what reading and
    `evaluate` raise.
    """
    if not isinstance(rankings, Mapping):
        raise LlmaugError(
            f"rankings must be named, not a {type(rankings).__name__}: give a dict such as "
            '{"plain": "plain.run", "expanded": "expanded.run"}'
        )
    check_baseline(baseline, rankings)
    judgements = named_qrels(qrels) if isinstance(qrels, (str, os.PathLike)) else qrels
    evaluations = {
        name: evaluate(given, judgements, measures, averaging=averaging)
        for name, given in rankings.items()
    }
    return compare_evaluations(
        evaluations, baseline=baseline, resamples=resamples, level=level, seed=seed
    )


def compare_evaluations(
    evaluations: Mapping[str, Evaluation],
    *,
    baseline: str,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """The same for rankings that are evaluated already: same qrels, measures and averaging."""
    check_baseline(baseline, evaluations)
    against = evaluations[baseline]
    family = (len(evaluations) - 1) * len(against.mean)
    rows = [
        _row(
            name,
            measure,
            evaluation,
            against,
            resamples=resamples,
            level=level,
            seed=seed,
            family=family,
        )
        for name, evaluation in evaluations.items()
        if name != baseline
        for measure in against.mean
    ]
    corrected = significance.holm([row.p for row in rows])
    rows = [replace(row, p_holm=p) for row, p in zip(rows, corrected, strict=True)]
    return Comparison(tuple(rows), baseline, against.averaging, level, resamples, seed)


def check_baseline(baseline: str, rankings: Mapping[str, object]) -> None:
    """Raise `LlmaugError` when there is nothing to compare with this baseline."""
    if baseline not in rankings:
        raise LlmaugError(
            f"no ranking is called {baseline!r} to be the baseline; "
            f"{did_you_mean(baseline, rankings)}"
        )
    if len(rankings) < 2:
        raise LlmaugError(f"only the baseline {baseline!r} is given; add a ranking to compare")


def _row(
    name: str,
    measure: str,
    evaluation: Evaluation,
    against: Evaluation,
    *,
    resamples: int,
    level: float,
    seed: int,
    family: int,
) -> Row:
    import numpy as np

    ours, theirs = _paired(evaluation, against, measure)
    if not len(ours):
        raise LlmaugError(
            f"no query is answered by both {name!r} and the baseline; "
            "check that they are for the same queries, or average over the judged ones"
        )
    differences = np.where(np.abs(ours - theirs) < SAME, 0.0, ours - theirs)
    interval = significance.bootstrap_interval(
        differences, level=level, resamples=resamples, seed=seed
    )
    p = significance.paired_randomisation(differences, resamples=resamples, seed=seed)
    return Row(
        ranking=name,
        measure=measure,
        queries=len(differences),
        mean=float(ours.mean()),
        baseline_mean=float(theirs.mean()),
        difference=float(differences.mean()),
        low=interval.low,
        high=interval.high,
        p=p,
        p_holm=p,
        effect=significance.effect_size(differences),
        better=int((differences > 0).sum()),
        worse=int((differences < 0).sum()),
        equal=int((differences == 0).sum()),
        detectable=significance.detectable_difference(
            # At the first and strictest step of Holm's correction.
            differences,
            power=POWER,
            level=round(1 - level, 12) / family,
        ),
    )


def _paired(
    evaluation: Evaluation, against: Evaluation, measure: str
) -> tuple[np.ndarray, np.ndarray]:
    """The scores of the same queries in both, in the order of the query ids."""
    import numpy as np

    ours, theirs = evaluation.per_query[measure], against.per_query[measure]
    if evaluation.averaging == "judged" and ours.keys() != theirs.keys():
        raise LlmaugError("rankings evaluated on different judgements cannot be compared")
    shared = sorted(ours.keys() & theirs.keys())
    return np.array([ours[q] for q in shared]), np.array([theirs[q] for q in shared])
